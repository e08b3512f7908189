"""The same comparison by someone else's tools: memcslap and memcaslap of libmemcached.

So that a figure of the bench's own load generator can be checked. Both tools cost more than a
server: the core of the load is what is full, so the server's processor time for an operation is
what to look at, and throughput is the tool's.
"""

import re
import shlex
import shutil
import subprocess
import tempfile

from . import process
from .errors import BenchError
from .measure import Bench, progress
from .rounds import ratio_of
from .servers import Running, Server, serving
from .text import spread, table

TITLE = "slap: libmemcached's memcslap and memcaslap (Debian: libmemcached-tools)"
TOOL_SECONDS_MAX = 300
MEMORY_MB = 1024

# memcaslap's description of a load: sizes of keys and values, and the shares of the commands
# (0 set, 1 get).
MEMCASLAP_CONFIG = """key
16 16 1
value
100 100 1
cmd
0 {sets}
1 {gets}
"""
# Name, set share, further options.
MEMCASLAP_RUNS = (
    ("memcaslap, a tenth sets", 0.1, ()),
    ("memcaslap, sets", 1.0, ()),
    ("memcaslap, a tenth sets, binary", 0.1, ("--binary",)),
    ("memcaslap, gets of 10 keys", 0.1, ("--division=10",)),
)
MEMCSLAP_RUNS = (
    ("memcslap, get", ("--test=get",)),
    ("memcslap, set", ("--test=set",)),
    ("memcslap, mget", ("--test=mget",)),
)
PER_SCALE = {"tiny": (1, 1_000), "quick": (2, 20_000), "full": (5, 100_000)}


def run(bench: Bench, servers: list[Server], scale: str) -> dict:
    if missing := [tool for tool in ("memcaslap", "memcslap") if not shutil.which(tool)]:
        print(f"\n{TITLE}\n  skipped: there is no {' and no '.join(missing)}")
        return {"skipped": missing}
    seconds, requests = PER_SCALE[scale]
    storing = [server for server in servers if server.stores]
    works = [(name, memcaslap_command(share, options, seconds))
             for name, share, options in MEMCASLAP_RUNS]
    works += [(name, memcslap_command(options, requests)) for name, options in MEMCSLAP_RUNS]
    result: dict = {"work": {}}
    for name, command in works:
        rounds: dict[str, list[dict]] = {server.name: [] for server in storing}
        for turn in range(bench.rounds):
            for server in storing:
                rounds[server.name].append(measure(bench, server, command))
                progress(f"{name}, round {turn + 1}: {server.name}")
        result["work"][name] = {"command": shlex.join(command), "rounds": rounds}
        show(name, rounds)
    return result


def memcaslap_command(set_share: float, options: tuple[str, ...], seconds: int) -> list[str]:
    return ["memcaslap", "--servers={address}", "--threads=1", "--concurrency=50",
            f"--time={seconds}s", f"--cfg_cmd={{config:{set_share}}}", *options]


def memcslap_command(options: tuple[str, ...], requests: int) -> list[str]:
    return ["memcslap", "--servers={address}", "--concurrency=4",
            f"--execute-number={requests // 4}", f"--initial-load={min(requests, 10_000)}",
            *options]


def measure(bench: Bench, server: Server, command: list[str]) -> dict:
    with serving(server, bench.cores.server, MEMORY_MB, bench.threads) as running, \
            tempfile.NamedTemporaryFile("w", suffix=".cnf") as config:
        before, cpu = operations(running), process.cpu_seconds(running.pid)
        words = []
        for word in command:
            if share := re.search(r"\{config:([\d.]+)\}", word):
                config.write(MEMCASLAP_CONFIG.format(sets=share[1], gets=1 - float(share[1])))
                config.flush()
                word = word.replace(share[0], config.name)
            words.append(word.replace("{address}", f"127.0.0.1:{running.port}"))
        done = subprocess.run(["taskset", "-c", str(bench.cores.load), *words],
                              capture_output=True, text=True, timeout=TOOL_SECONDS_MAX,
                              check=False)
        cpu = process.cpu_seconds(running.pid) - cpu
        count = operations(running) - before
    # It may complain and go on; what it did is what the server counted.
    if done.returncode != 0 or count == 0:
        raise BenchError(f"{shlex.join(words)}: status {done.returncode}, {count} operations\n"
                         f"{done.stderr.strip()[-500:]}")
    tps = re.search(r"TPS: (\d+)", done.stdout)
    took = re.search(r"Took\s+([\d.]+)\s+seconds", done.stdout)
    per_second = float(tps[1]) if tps else count / float(took[1]) if took else None
    return {"operations": count, "per_second": per_second, "server_cpu_us": cpu / count * 1e6}


def operations(running: Running) -> int:
    stats = running.stats()
    return int(stats["cmd_get"]) + int(stats["cmd_set"])


def show(name: str, rounds: dict[str, list[dict]]) -> None:
    names = list(rounds)
    rows = []
    for server in names:
        rates = [r["per_second"] / 1e3 for r in rounds[server] if r["per_second"]]
        row = [server, spread(rates) if rates else None,
               spread([r["server_cpu_us"] for r in rounds[server]], lambda v: f"{v:.2f}")]
        if server == names[0]:
            row += ["", ""]
        else:
            ratio = ratio_of((r["server_cpu_us"] for r in rounds[server]),
                             (r["server_cpu_us"] for r in rounds[names[0]]))
            row += [str(ratio), ratio.verdict(names[0], server)]
        rows.append(row)
    print()
    table([name, "kops/s", "CPU us", f"its CPU / {names[0]}'s", ""], rows)

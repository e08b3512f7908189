#!/usr/bin/env python3
"""Runs torc, memcached and the floor in turn on the same work and prints their ratios.

Each server runs with one thread on one core, the load generator on another; the servers take turns
(A B C A B C), so that whatever else the machine does falls on all of them. Ratios are taken within
a round and never across rounds or machines. README.md says how to read the figures.
"""

import argparse
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Iterator

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.append(str(ROOT / "tests"))
from lib.ports import free_port  # noqa: E402

MEMCACHED_VERSION_WANTED = (1, 6, 45)
SERVER_START_SECONDS_MAX = 10
# Below this share of its core a server was not what limited the run.
SATURATED_SHARE = 0.95
# Above this share of the time kept waiting by others, a run says more about them.
DISTURBED_SHARE = 0.05
TINY_SECONDS = 0.2
TINY_KEYS_MAX = 20_000


@dataclass(frozen=True)
class Row:
    """One line of the comparison: a kind of work."""

    name: str
    title: str
    load: tuple[str, ...]  # options of the load generator
    keys: int = 10_000
    keys_per_request: int = 1
    memory_mb: int = 1024

    def is_for(self, server: "Server") -> bool:
        """The floor speaks no binary protocol."""
        return server.stores or "binary" not in self.load

    @property
    def unit(self) -> str:
        return "kkeys/s" if self.keys_per_request > 1 else "kops/s"


ROWS = (
    Row("get", "get, one at a time", ("--work", "get")),
    Row("get-pipeline", "get, pipelines of 16", ("--work", "get", "--pipeline", "16")),
    Row("get-multi", "get, 50 keys per command", ("--work", "get", "--multiget", "50"),
        keys_per_request=50),
    Row("set", "set, one at a time", ("--work", "set")),
    Row("set-pipeline", "set, pipelines of 16", ("--work", "set", "--pipeline", "16")),
)
# Run only when named: they take a minute each, or commands that not every server has.
EXTRA_ROWS = (
    Row("large-get-multi", "get, 50 keys per command, over 4,000,000 keys",
        ("--work", "get", "--multiget", "50"), keys=4_000_000, keys_per_request=50,
        memory_mb=2048),
    Row("large-get-pipeline", "get, pipelines of 16, over 4,000,000 keys",
        ("--work", "get", "--pipeline", "16"), keys=4_000_000, memory_mb=2048),
    Row("mixed-pipeline", "nine gets to a set, pipelines of 16",
        ("--work", "mixed", "--set-share", "0.1", "--pipeline", "16")),
    Row("meta-get-pipeline", "meta get, pipelines of 16",
        ("--protocol", "meta", "--work", "get", "--pipeline", "16")),
    Row("binary-get", "binary get, one at a time", ("--protocol", "binary", "--work", "get")),
    Row("binary-get-pipeline", "binary get, pipelines of 16",
        ("--protocol", "binary", "--work", "get", "--pipeline", "16")),
    Row("binary-get-multi", "binary, 50 quiet gets and a no-op",
        ("--protocol", "binary", "--work", "get", "--multiget", "50"), keys_per_request=50),
    Row("binary-set-pipeline", "binary set, pipelines of 16",
        ("--protocol", "binary", "--work", "set", "--pipeline", "16")),
    Row("meta-set-pipeline", "meta set, pipelines of 16",
        ("--protocol", "meta", "--work", "set", "--pipeline", "16")),
)
# What every run has in common, as options of the load generator.
LOAD_COMMON = ("--connections", "50", "--key-size", "12", "--value-size", "100")


class BenchError(Exception):
    """A run that yields no figures."""


@dataclass(frozen=True)
class Server:
    """A server under test: how to start it."""

    name: str
    prefix: tuple[str, ...]
    stores: bool = True  # the floor stores nothing

    def command(self, port: int, memory_mb: int) -> list[str]:
        if not self.stores:
            return [*self.prefix, "-p", str(port)]
        return [*self.prefix, "-l", "127.0.0.1", "-p", str(port), "-t", "1", "-m", str(memory_mb),
                "-c", "1024"]


@dataclass(frozen=True)
class Sample:
    """One server's figures in one round of one row."""

    figures: dict

    @property
    def rate(self) -> float:
        """Thousands of keys (or requests, where that is the same) in a second."""
        return self.figures["keys_per_second"] / 1e3

    @property
    def cpu_us(self) -> float:
        """The server's processor time for one request."""
        return self.figures["server_cpu_us"]


def ask_version(port: int) -> str | None:
    """The server's answer to `version`; nothing while it does not answer."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"version\r\n")
            return connection.recv(200).decode(errors="replace").strip() or None
    except OSError:
        return None


@contextmanager
def started(name: str, command: list[str], port: int) -> Iterator[int]:
    """Starts a server and waits until it answers at the port; yields its process id; ends it."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + SERVER_START_SECONDS_MAX
            while ask_version(port) is None:
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    said = log.read(2000).decode(errors="replace").strip()
                    raise BenchError(f"{name} did not start: {shlex.join(command)}\n{said}")
                time.sleep(0.02)
            yield process.pid
            if process.poll() is not None:
                raise BenchError(f"{name} ended by itself, status {process.returncode}")
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(timeout=10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


@contextmanager
def running(server: Server, row: Row, core: int) -> Iterator[tuple[int, int]]:
    """Starts a server on a core; yields its process id and port; ends it."""
    port = free_port()
    command = ["taskset", "-c", str(core), *server.command(port, row.memory_mb)]
    with started(server.name, command, port) as pid:
        yield pid, port


@dataclass(frozen=True)
class LoadGenerator:
    """The load generator on its core."""

    binary: str
    core: int

    def run(self, options: list[str]) -> dict:
        """Runs it; returns its figures, empty where it was only to fill."""
        command = ["taskset", "-c", str(self.core), self.binary, *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode != 0:
            said = done.stderr.strip() or f"status {done.returncode}"
            raise BenchError(f"{shlex.join(command)}\n{said}")
        return json.loads(done.stdout) if done.stdout.strip() else {}


class Bench:
    """The servers, the load generator and where each of them runs."""

    def __init__(self, arguments: argparse.Namespace):
        self.load_binary = arguments.load
        self.seconds = arguments.seconds
        self.warmup = arguments.warmup
        self.server_core, self.load_core = choose_cores(arguments)

    def load(self, options: list[str]) -> dict:
        """Runs the load generator; returns its figures, empty where it was only to fill."""
        return LoadGenerator(self.load_binary, self.load_core).run(options)

    def load_options(self, row: Row, port: int) -> list[str]:
        return ["--port", str(port), *LOAD_COMMON, *row.load, "--keys", str(row.keys)]

    def measure(self, server: Server, row: Row, seed: int) -> Sample:
        """Starts the server, fills it, checks some answers byte for byte, measures."""
        with running(server, row, self.server_core) as (pid, port):
            warn_if_elsewhere(server, pid, self.server_core)
            options = self.load_options(row, port)
            if server.stores:
                self.load([*options, "--fill", "--verify", "--warmup", "0", "--seconds", "0.1"])
            figures = self.load([*options, "--pid", str(pid), "--seed", str(seed),
                                 "--warmup", str(self.warmup), "--seconds", str(self.seconds)])
        if figures["hits"] != figures["gets"]:
            raise BenchError(f"{server.name}: {figures['gets'] - figures['hits']} of "
                             f"{figures['gets']} gets found nothing")
        if figures["requests"] == 0:
            raise BenchError(f"{server.name}: no request was answered")
        return Sample(figures)


def choose_cores(arguments: argparse.Namespace) -> tuple[int, int]:
    """A core for the server and another one, not its sibling, for the load generator."""
    allowed = sorted(os.sched_getaffinity(0))
    server = allowed[0] if arguments.server_core is None else arguments.server_core
    if arguments.load_core is not None:
        return server, arguments.load_core
    others = [core for core in allowed if core != server]
    siblings = siblings_of(server)
    for core in others:
        if core not in siblings:
            return server, core
    if others:
        print("note: server and load share a physical core", file=sys.stderr)
        return server, others[0]
    print("note: one core for server and load: throughput means little", file=sys.stderr)
    return server, server


def siblings_of(core: int) -> set[int]:
    """The logical cores that share a physical one with `core`."""
    path = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
    siblings: set[int] = set()
    try:
        for part in path.read_text().strip().split(","):
            first, _, last = part.partition("-")
            siblings.update(range(int(first), int(last or first) + 1))
    except (OSError, ValueError):
        pass
    return siblings


def warn_if_elsewhere(server: Server, pid: int, core: int) -> None:
    """A server that moves its threads off their core would be measured beside the load's."""
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        try:
            lines = status.read_text().splitlines()
        except OSError:
            continue  # the thread has ended
        allowed = next(line.split()[1] for line in lines if line.startswith("Cpus_allowed_list"))
        if allowed != str(core):
            print(f"note: {server.name} has a thread on core {allowed}, not on {core}",
                  file=sys.stderr)
            return


# ---- Printing


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}"


def spread(values: list[float], form=number) -> str:
    return f"{form(median(values))} ({form(min(values))}-{form(max(values))})"


def print_row(row: Row, samples: dict[str, list[Sample]]) -> None:
    print(f"\n{row.title}  [{row.name}]")
    print(f"  {'':10} {row.unit:>24} {'CPU us':>8} {'user':>7} {'system':>7} {'core':>6} "
          f"{'load':>6} {'p50 us':>8} {'p99 us':>8} {'p99.9':>8}")
    for name, rounds in samples.items():
        def middle(key: str) -> float:
            return median(sample.figures[key] for sample in rounds)
        notes = []
        if middle("server_cpu_share") < SATURATED_SHARE:
            notes.append("core not full: compare CPU")
        disturbance = max(middle("server_delayed_share"), middle("load_delayed_share"))
        if disturbance > DISTURBED_SHARE:
            notes.append(f"kept waiting {disturbance:.0%} of the time by other work")
        keys = row.keys_per_request
        print(f"  {name:10} {spread([sample.rate for sample in rounds]):>24} "
              f"{middle('server_cpu_us') / keys:8.3f} {middle('server_cpu_us_user') / keys:7.3f} "
              f"{middle('server_cpu_us_system') / keys:7.3f} {middle('server_cpu_share'):6.0%} "
              f"{middle('load_cpu_share'):6.0%} {middle('latency_us_p50'):8.0f} "
              f"{middle('latency_us_p99'):8.0f} {middle('latency_us_p999'):8.0f}"
              f"{'  ' + '; '.join(notes) if notes else ''}")
    for above, below in ratio_pairs(list(samples)):
        pairs = list(zip(samples[above], samples[below]))
        by_rate = [a.rate / b.rate for a, b in pairs]
        by_cpu = [b.cpu_us / a.cpu_us for a, b in pairs]
        print(f"  {above + ' / ' + below:18} throughput {ratios(by_rate)}   "
              f"by CPU {ratios(by_cpu)}")


def ratio_pairs(names: list[str]) -> list[tuple[str, str]]:
    """The first server against each other one; without torc, floor against memcached."""
    if "torc" in names:
        return [("torc", name) for name in names if name != "torc"]
    return [("floor", name) for name in names if name != "floor"] if "floor" in names else []


def ratios(values: list[float]) -> str:
    rounds = " ".join(f"{value:.2f}" for value in values)
    return f"{median(values):.2f} ({rounds})"


def print_header(bench: Bench, servers: list[Server], versions: dict[str, str]) -> None:
    cpu = next((line.split(":", 1)[1].strip() for line in
                Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")),
               os.uname().machine)
    congestion = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    print(f"machine: {cpu}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.2f}")
    print(f"kernel: {os.uname().release}, TCP over loopback, {congestion}")
    print(f"servers on core {bench.server_core}, one thread; load on core {bench.load_core}")
    for server in servers:
        print(f"{server.name}: {versions[server.name]}")
        command = shlex.join(server.command(0, ROWS[0].memory_mb)).replace("-p 0", "-p PORT")
        print(f"  {command}")
    print("load: " + shlex.join([bench.load_binary, *LOAD_COMMON, "--warmup", str(bench.warmup),
                                 "--seconds", str(bench.seconds), "WORK", "--keys", "KEYS"]))


def find_versions(bench: Bench, servers: list[Server]) -> dict[str, str]:
    versions = {}
    for server in servers:
        with running(server, ROWS[0], bench.server_core) as (_, port):
            versions[server.name] = (ask_version(port) or "?").removeprefix("VERSION ")
            if server.name == "torc":  # answers `version` with the memcached that it stands for
                printed = subprocess.run([*server.prefix, "-V"], capture_output=True, text=True)
                versions[server.name] = printed.stdout.strip().removeprefix("torc ")
        if server.name == "memcached":
            note_old_memcached(versions[server.name])
    return versions


def note_old_memcached(version: str) -> None:
    try:
        parts = tuple(int(part) for part in version.split("."))
    except ValueError:
        return
    if parts < MEMCACHED_VERSION_WANTED:
        wanted = ".".join(map(str, MEMCACHED_VERSION_WANTED))
        print(f"note: memcached {version} is older than {wanted}, and up to 8 times slower on "
              "pipelined gets: ratios to it mean nothing", file=sys.stderr)


# ---- Modes


def compare(bench: Bench, servers: list[Server], rows: list[Row], rounds: int,
            json_path: str | None) -> None:
    versions = find_versions(bench, servers)
    print_header(bench, servers, versions)
    records = []
    for row in rows:
        these = [server for server in servers if row.is_for(server)]
        samples: dict[str, list[Sample]] = {server.name: [] for server in these}
        for turn in range(rounds):
            for server in these:
                sample = bench.measure(server, row, seed=turn + 1)
                samples[server.name].append(sample)
                records.append({"row": row.name, "server": server.name, "round": turn + 1,
                                **sample.figures})
                print(f"... {row.name}, round {turn + 1}: {server.name} "
                      f"{number(sample.rate)} {row.unit}", file=sys.stderr)
        print_row(row, samples)
        print(f"  load {shlex.join([*row.load, '--keys', str(row.keys)])}", flush=True)
    if json_path:
        Path(json_path).write_text(json.dumps({"versions": versions, "runs": records}, indent=1))


class Tiny:
    """Each row in small, and what the load generator must refuse: a test, not a measurement."""

    def __init__(self, bench: Bench):
        self.bench = bench
        self.passed = 0
        self.failed = 0

    def check(self, name: str, test) -> None:
        try:
            test()
        except (BenchError, subprocess.TimeoutExpired) as error:
            self.failed += 1
            print(f"FAIL {name}: {error}", flush=True)
        else:
            self.passed += 1
            print(f"ok   {name}", flush=True)

    def row_runs(self, server: Server, row: Row) -> None:
        small = Row(row.name, row.title, row.load, min(row.keys, TINY_KEYS_MAX),
                    row.keys_per_request, row.memory_mb)
        sample = self.bench.measure(server, small, seed=1)
        print_row(small, {server.name: [sample]})

    def load_refuses(self, server: Server, options: list[str], expected: str) -> None:
        """The load generator must end with an error that says `expected`."""
        with running(server, ROWS[0], self.bench.server_core) as (_, port):
            try:
                self.bench.load([*self.bench.load_options(ROWS[0], port), *options])
            except BenchError as error:
                if expected not in str(error):
                    raise BenchError(f"expected '{expected}' in: {error}") from error
                return
        raise BenchError(f"expected an error with '{expected}', got none")

    def finds_misses(self, server: Server) -> None:
        """Nothing is stored, so nothing may be found."""
        with running(server, ROWS[0], self.bench.server_core) as (_, port):
            figures = self.bench.load([*self.bench.load_options(ROWS[0], port), "--verify",
                                       "--warmup", "0", "--seconds", str(TINY_SECONDS)])
        if figures["gets"] == 0 or figures["hits"] != 0:
            raise BenchError(f"{figures['hits']} of {figures['gets']} found in an empty server")

    def large_values(self, server: Server) -> None:
        """Values that fill many receive buffers, written and read back byte for byte."""
        with running(server, ROWS[0], self.bench.server_core) as (_, port):
            self.bench.load(["--port", str(port), "--work", "mixed", "--set-share", "0.5",
                             "--keys", "20", "--value-size", "500000", "--fill", "--verify",
                             "--connections", "4", "--pipeline", "3",
                             "--warmup", "0", "--seconds", str(TINY_SECONDS)])

    def run(self, servers: list[Server]) -> bool:
        by_name = {server.name: server for server in servers}
        for server in servers:
            for row in ROWS + EXTRA_ROWS:
                if not row.is_for(server):
                    continue
                self.check(f"{server.name}, {row.name}", lambda: self.row_runs(server, row))
            if server.stores:
                self.check(f"{server.name}, misses", lambda: self.finds_misses(server))
                self.check(f"{server.name}, large values", lambda: self.large_values(server))
        if floor := by_name.get("floor"):
            self.check("load refuses wrong bytes", lambda: self.load_refuses(
                floor, ["--verify", "--seconds", "1"], "unexpected reply"))
            self.check("load refuses a wrong size", lambda: self.load_refuses(
                floor, ["--verify", "--value-size", "99", "--seconds", "1"], "unexpected reply"))
        if memcached := by_name.get("memcached"):
            self.check("load refuses an error", lambda: self.load_refuses(
                memcached, ["--value-size", "2000000", "--keys", "1", "--work", "set",
                            "--seconds", "1"], "unexpected reply: expected STORED"))
        print(f"\n{self.passed} passed, {self.failed} failed")
        return self.failed == 0


def find_memcached() -> tuple[str, ...]:
    """The command of the memcached to compare with, when none was named."""
    script = ROOT / "tests" / "env" / "memcached"
    if script.exists():
        done = subprocess.run([script], stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode == 0:
            return tuple(shlex.split(done.stdout))
    print("note: no current memcached found, /usr/bin/memcached it is", file=sys.stderr)
    return ("/usr/bin/memcached", "-u", user_name())


def user_name() -> str:
    return "root" if os.geteuid() == 0 else os.environ.get("USER", "nobody")


def find_servers(arguments: argparse.Namespace) -> list[Server]:
    servers = []
    torc = arguments.torc or str(ROOT / "bazel-bin" / "src" / "torc")
    if arguments.torc or os.access(torc, os.X_OK):
        # Like memcached, torc wants to be told as whom to run when root starts it.
        servers.append(Server("torc", (*shlex.split(torc), "-u", user_name())))
    else:
        print(f"note: there is no {torc}: running without torc", file=sys.stderr)
    memcached = shlex.split(arguments.memcached) if arguments.memcached else find_memcached()
    servers.append(Server("memcached", tuple(memcached)))
    servers.append(Server("floor", (arguments.floor,), stores=False))
    if arguments.servers:
        wanted = arguments.servers.split(",")
        unknown = set(wanted) - {server.name for server in servers}
        if unknown:
            raise BenchError(f"--servers: there is no {', '.join(sorted(unknown))}")
        servers = [server for server in servers if server.name in wanted]
    return servers


def choose_rows(names: list[str]) -> list[Row]:
    by_name = {row.name: row for row in ROWS + EXTRA_ROWS}
    rows: list[Row] = []
    for name in names:
        if name == "all":
            rows += ROWS + EXTRA_ROWS
        elif name in by_name:
            rows.append(by_name[name])
        else:
            raise BenchError(f"there is no row '{name}'; there are: {', '.join(by_name)}")
    return rows or list(ROWS)


def parse_arguments() -> argparse.Namespace:
    names = "\n".join(f"  {row.name:20} {row.title}" for row in ROWS)
    extras = "\n".join(f"  {row.name:20} {row.title}" for row in EXTRA_ROWS)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"rows, all run by default:\n{names}\nrows that are run when named:\n{extras}")
    parser.add_argument("what", nargs="*", metavar="quick|tiny|all|ROW",
                        help="quick: one round of a second; tiny: only whether everything works; "
                             "all: every row; or rows by name")
    parser.add_argument("--torc", metavar="COMMAND", help="default: bazel-bin/src/torc")
    parser.add_argument("--memcached", metavar="COMMAND",
                        help="what runs memcached; options are added behind it "
                             "(default: tests/env/memcached finds it)")
    parser.add_argument("--servers", metavar="NAMES", help="only these, such as torc,memcached")
    parser.add_argument("--rounds", type=int, help="turns of each server (3)")
    parser.add_argument("--seconds", type=float, help="of each run, counted (3)")
    parser.add_argument("--warmup", type=float, help="seconds before (0.5)")
    parser.add_argument("--server-core", type=int, metavar="CORE")
    parser.add_argument("--load-core", type=int, metavar="CORE")
    parser.add_argument("--json", metavar="FILE", help="write the figures of every run there")
    parser.add_argument("--load", default=str(ROOT / "bazel-bin" / "bench" / "load"))
    parser.add_argument("--floor", default=str(ROOT / "bazel-bin" / "bench" / "floor"))
    arguments = parser.parse_intermixed_args()
    arguments.tiny = "tiny" in arguments.what
    quick = "quick" in arguments.what
    arguments.names = [name for name in arguments.what if name not in ("tiny", "quick")]
    defaults = ((1, TINY_SECONDS, 0.05) if arguments.tiny else (1, 1.0, 0.3) if quick
                else (3, 3.0, 0.5))
    for name, default in zip(("rounds", "seconds", "warmup"), defaults):
        if getattr(arguments, name) is None:
            setattr(arguments, name, default)
    for binary in (arguments.load, arguments.floor):
        if not os.access(binary, os.X_OK):
            parser.error(f"there is no {binary}: build it with "
                         "`bazel build -c opt //bench:load //bench:floor`, or use ./dev bench")
    if arguments.rounds < 1 or arguments.seconds <= 0:
        parser.error("--rounds and --seconds must be more than 0")
    return arguments


def main() -> int:
    arguments = parse_arguments()
    try:
        rows = choose_rows(arguments.names)
        servers = find_servers(arguments)
        bench = Bench(arguments)
        if arguments.tiny:
            return 0 if Tiny(bench).run(servers) else 1
        compare(bench, servers, rows, arguments.rounds, arguments.json)
        return 0
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

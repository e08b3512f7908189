"""A table far larger than the processor's cache: keys at random, in batches.

torc is measured as it is and as a build of its own without the two stages that prefetch
(`bazel build --config=no-prefetch //src:torc`): what they are worth.
"""

from dataclasses import replace
from pathlib import Path

from harness.measure import LoadGenerator
from harness.rounds import ratio_of
from harness.servers import Server
from harness.text import spread
from harness.workloads import BY_NAME, FILL_CONNECTIONS, Row

from .lab import Lab, expect, table

TITLE = "table: random keys of a table larger than the processor's cache"
NEEDS = "1 GB of memory"
DEFAULTS = {"items": 4_000_000, "seconds": 3.0, "rounds": 3}
TINY = {"items": 20_000, "seconds": 0.1, "rounds": 1}

ROWS = {"50 keys a get": "large-get-multi", "pipelines of 16": "large-get-pipeline"}


def more_servers(servers: list[Server], no_prefetch: str | None) -> list[Server]:
    """torc without its prefetching, where there is such a build."""
    if no_prefetch is None or not Path(no_prefetch).exists():
        return []
    return [Server("no prefetch", (no_prefetch, *server.prefix[1:]))
            for server in servers if server.name == "torc"]


def run(lab: Lab, server: Server, p: dict) -> dict:
    figures: dict = {}
    for title, name in ROWS.items():
        row = BY_NAME[name]
        figures[title] = [_measure(lab, server, replace(row, keys=p["items"]), p["seconds"], seed)
                          for seed in range(1, p["rounds"] + 1)]
    return figures


def _measure(lab: Lab, server: Server, row: Row, seconds: float, seed: int) -> dict:
    with lab.serve(server, row.memory_mb) as running:
        options = row.options(running.port)
        runner = LoadGenerator(str(lab.tools / "load"), lab.load_core)
        runner.run([*row.fill_options(running.port), "--connections", str(FILL_CONNECTIONS), "--fill",
                    "--seconds", "0"])
        return runner.run([*options, "--pid", str(running.pid), "--seed", str(seed), "--warmup",
                           str(min(0.5, seconds)), "--seconds", str(seconds)])


def show(results: dict[str, dict], p: dict) -> None:
    for title in ROWS:
        rows = []
        torc = results.get("torc", {}).get(title)
        for name, r in results.items():
            rates = [s["keys_per_second"] / 1e3 for s in r[title]]
            cpu = [_cpu_us(s) for s in r[title]]
            row = [name, spread(rates), spread(cpu, lambda v: f"{v:.3f}"),
                   f"{min(s['server_cpu_share'] for s in r[title]):.0%}"]
            if torc and name != "torc":
                row += [str(ratio_of((s["keys_per_second"] for s in torc),
                                     (s["keys_per_second"] for s in r[title]))),
                        str(ratio_of(map(_cpu_us, r[title]), map(_cpu_us, torc)))]
            else:
                row += ["", ""]
            rows.append(row)
        table([f"{title}, {p['items']:,} keys", "kkeys/s", "CPU us a key", "core",
               "torc is faster by", "by CPU"], rows)


def _cpu_us(sample: dict) -> float:
    return sample["server_cpu_us"] * sample["requests_per_second"] / sample["keys_per_second"]


def check(name: str, r: dict) -> None:
    for title in ROWS:
        for sample in r[title]:
            expect(sample["gets"] > 0 and sample["hits"] == sample["gets"], "a get missed")

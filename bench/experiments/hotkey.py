"""One key read through every shard: does it cost more than many keys?

Each load generator has its connections spread over the shards; asked once for 10,000 keys and once
for one. Where a hit wrote to the item, the one key would travel between the cores with every read.
src/slab/hot_key_test.cc shows by other means that nothing is written: it takes the memory's write
permission away.
"""

import json
import subprocess

from harness.errors import BenchError
from harness.servers import Server

from .lab import Lab, cores, expect, table

TITLE = "hotkey: one key read through every shard"
NEEDS = "as many cores for the load as for the server, to mean anything"
DEFAULTS = {"threads": 0, "seconds": 3.0, "pipeline": 16, "connections": 32, "value_size": 100}
TINY = {"threads": 2, "seconds": 0.2, "connections": 8}


def run(lab: Lab, server: Server, p: dict) -> dict:
    threads = p["threads"] or max(2, len(cores()) // 2)
    figures: dict = {"threads": threads}
    with lab.serve(server, 64, threads=threads, pinned=False) as running:
        for title, keys in (("many", 10_000), ("one", 1)):
            lab_fill = _command(lab, running.port, p, keys) + ["--fill", "--seconds", "0"]
            subprocess.run(lab_fill, check=True, capture_output=True, timeout=60)
            # Twice: the first marks the item as read.
            _loads(lab, running.port, p, keys, threads, 0.1)
            cpu = running.cpu_seconds()
            results = _loads(lab, running.port, p, keys, threads, p["seconds"])
            cpu = running.cpu_seconds() - cpu
            requests = sum(r["requests"] for r in results)
            figures[title] = {
                "kops": sum(r["requests_per_second"] for r in results) / 1e3,
                "cpu_us": cpu / max(1, requests) * 1e6,
                "hits": sum(r["hits"] for r in results),
                "gets": sum(r["gets"] for r in results),
            }
    return figures


def _command(lab: Lab, port: int, p: dict, keys: int) -> list[str]:
    return [str(lab.tools / "load"), "--port", str(port), "--keys", str(keys), "--value-size",
            str(p["value_size"]), "--pipeline", str(p["pipeline"]), "--connections",
            str(p["connections"]), "--work", "get"]


def _loads(lab: Lab, port: int, p: dict, keys: int, count: int, seconds: float) -> list[dict]:
    command = _command(lab, port, p, keys) + ["--warmup", "0", "--seconds", str(seconds)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                text=True) for _ in range(count)]
    try:
        out = [process.communicate(timeout=60 + seconds)[0] for process in running]
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
    if any(process.returncode != 0 for process in running):
        raise BenchError(f"{' '.join(command)} failed")
    return [json.loads(text) for text in out]


def show(results: dict[str, dict], p: dict) -> None:
    rows = []
    for name, r in results.items():
        rows.append([f"{name}, -t {r['threads']}", r["many"]["kops"], r["one"]["kops"],
                     r["one"]["kops"] / r["many"]["kops"], r["many"]["cpu_us"], r["one"]["cpu_us"]])
    table(["", "10,000 keys kops/s", "one key kops/s", "ratio", "CPU us", "CPU us, one key"], rows)


def check(name: str, r: dict) -> None:
    for title in ("many", "one"):
        expect(r[title]["gets"] > 0 and r[title]["hits"] == r[title]["gets"], "a get missed")

"""The engine alone: the longest turns and which stage of them was long.

By processor time and without a network, so that a busy machine does not spoil it. What a
probing client feels in the other experiments has its cause here, or in front of the engine.
"""

import json
import subprocess

from harness.errors import BenchError
from harness.servers import Server

from .lab import STEP_SECONDS_MAX, Lab, expect, table

TITLE = "turns: the slab engine's longest turns, by stage (torc alone, without a network)"
NEEDS = "2 GB of memory"
DEFAULTS = {"items": 20_000_000, "memory_mb": 4096, "shift_mb": 64, "append_mb": 64,
            "batch": 128, "seconds": 60}
TINY = {"items": 50_000, "memory_mb": 64, "shift_mb": 8, "append_mb": 4, "seconds": 2}
ONLY = "torc"


def run(lab: Lab, server: Server, p: dict) -> dict:
    flags = [text for key in DEFAULTS for text in ("--" + key.replace("_", "-"), str(p[key]))]
    command = ["taskset", "-c", str(lab.server_core), str(lab.tools / "turns"), *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False,
                          timeout=STEP_SECONDS_MAX)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(command)}\n{done.stderr.strip()}")
    return {"reports": [json.loads(line) for line in done.stdout.splitlines()]}


def show(results: dict[str, dict], p: dict) -> None:
    for r in results.values():
        stages = list(r["reports"][0]["stages_us"])
        table(["us of processor time", "turns", "p99.9", "longest", *stages, "CPU s", "items",
               "failed"],
              [[part["what"], part["turns"], part["us_p999"], part["us_max"],
                *part["stages_us"].values(), part["cpu_seconds"], part["items"], part["failed"]]
               for part in r["reports"]])


def check(name: str, r: dict) -> None:
    growth = r["reports"][0]
    expect(growth["items"] == TINY["items"], f"{growth['items']} items are there")
    for part in r["reports"]:
        expect(part["failed"] == 0, f"{part['what']}: {part['failed']} stores failed")

"""What memory gives: items at a memory limit, and the hit ratio over it.

Bytes an item is what density/density.py measures, the hit ratio what replay/replay.py does: a
look-aside replay of real traces. Neither depends on what else the machine does: each is run once.
"""

import os
import random
import shlex
import sys
from pathlib import Path

from .errors import BenchError
from .measure import Bench, progress
from .servers import ROOT, Server
from .text import table

sys.path.append(str(ROOT / "bench" / "density"))
sys.path.append(str(ROOT / "bench" / "replay"))
sys.path.append(str(ROOT))
import density  # noqa: E402
import replay  # noqa: E402

from tests.lib.server import Program  # noqa: E402

TITLE = "memory: bytes an item, and the hit ratio over memory"
REPLAY_RUN = 8
PER_SCALE = {
    # -m of the density, its rows; -m of the replays, requests of each
    "tiny": (8, 1, (2,), 3_000),
    "quick": (32, 3, (8, 32), 200_000),
    "full": (100, 5, (8, 16, 32, 64, 128), 1_500_000),
}


def run(bench: Bench, servers: list[Server], scale: str) -> dict:
    memory_mb, row_count, limits, requests = PER_SCALE[scale]
    storing = [server for server in servers if server.stores]
    result: dict = {"memory_mb": memory_mb, "density": [], "replay": [], "requests": requests}
    for row in density.ROWS[:row_count]:
        held = {}
        for server in storing:
            try:
                program = Program(shlex.join(server.prefix))
                held[server.name] = density.fill(program, row, memory_mb, ())
            except (OSError, KeyError, AssertionError) as error:
                raise BenchError(f"{server.name}, {row.name}: {error}") from error
            progress(f"memory, {row.name}: {server.name}")
        result["density"].append({
            "row": row.name, "goal": row.more,
            "servers": {name: {"items": h.items, "resident_bytes": h.resident_bytes,
                               "bytes_per_item": h.bytes_per_item} for name, h in held.items()}})
    show_density(result, memory_mb)
    for name, trace in traces(scale, requests):
        for limit in limits:
            ratios = {}
            for server in storing:
                try:
                    with replay.Server(shlex.join(server.prefix), limit, bench.threads) as running:
                        ratios[server.name] = 1 - replay.replay(running, trace, REPLAY_RUN)
                except replay.ReplayError as error:
                    raise BenchError(f"{server.name}, {name}: {error}") from error
                progress(f"memory, {name} at {limit} MB: {server.name}")
            result["replay"].append({"trace": name, "memory_mb": limit, "hit_ratio": ratios})
    show_replay(result["replay"])
    return result


def traces(scale: str, requests: int) -> list[tuple[str, list[int]]]:
    folder = os.environ.get("TORC_TRACES")
    files = sorted(Path(folder).glob("*.u32.zst")) if folder and scale != "tiny" else []
    if not files:
        if scale != "tiny":
            print("note: TORC_TRACES names no folder with traces (*.u32.zst): a made-up one is "
                  "replayed", file=sys.stderr)
        return [("made up", made_up(requests))]
    if scale == "quick":
        files = files[:1]
    return [(file.name.split(".")[0], replay.read_trace(str(file), requests)) for file in files]


def made_up(requests: int) -> list[int]:
    """Keys whose popularity falls off as a power, a fifth of them asked for once."""
    rng = random.Random(1)
    return [int(rng.paretovariate(0.7)) % (1 << 20) if rng.random() > 0.2 else
            (1 << 24) + i for i in range(requests)]


def show_density(result: dict, memory_mb: int) -> None:
    rows = []
    for entry in result["density"]:
        servers = entry["servers"]
        first = next(iter(servers.values()))
        for name, held in servers.items():
            rows.append([f"{entry['row']}, {name}", held["items"],
                         held["resident_bytes"] / 2**20, held["bytes_per_item"],
                         held["bytes_per_item"] / first["bytes_per_item"]])
    print()
    table([f"key/value, -m {memory_mb}", "items", "resident MB", "bytes an item",
           "times the first's"], rows)


def show_replay(points: list[dict]) -> None:
    names = list(points[0]["hit_ratio"])
    print()
    table(["trace, -m", *(f"{name} hits" for name in names), "misses of the first / last"],
          [[f"{point['trace']}, {point['memory_mb']}",
            *(f"{point['hit_ratio'][name]:.4f}" for name in names),
            f"{(1 - point['hit_ratio'][names[0]]) / (1 - point['hit_ratio'][names[-1]]):.3f}"]
           for point in points])

"""The sizes of items change: does the new size get its memory, and how soon?

Each phase is a look-aside load with keys of its own. A turnover is when as many bytes were stored
as the memory has; `steady` is the hit ratio of the last third of the phase. A phase has recovered in
the first slice from which on the ratio stays within 2 % of steady. An empty server that gets the
same phase says what recovery can be at best: it has to be filled too.
"""

from harness.servers import Server

from .lab import Lab, Running, expect, table

TITLE = "shift: the sizes of items change under load"
NEEDS = "some minutes"
DEFAULTS = {"memory_mb": 64, "sizes": "100,2000,20000,100", "turnovers": 3.0, "theta": 0.9,
            "seed": 1, "slices": 10}
TINY = {"memory_mb": 8, "sizes": "200,4000,200", "turnovers": 1.5}

RECOVERED_WITHIN = 0.02


def run(lab: Lab, server: Server, p: dict) -> dict:
    sizes = [int(size) for size in str(p["sizes"]).split(",")]
    phases = []
    with lab.serve(server, p["memory_mb"]) as running:
        for number, size in enumerate(sizes):
            phases.append(_phase(lab, running, p, f"p{number}:", size))
    alone: dict[int, dict] = {}
    for size in sorted(set(sizes)):
        with lab.serve(server, p["memory_mb"]) as running:
            alone[size] = _phase(lab, running, p, "p0:", size)
    for phase in phases:
        phase["alone"] = alone[phase["size"]]
    return {"phases": phases}


def _phase(lab: Lab, running: Running, p: dict, prefix: str, size: int) -> dict:
    before = running.stats()
    failed_before = running.failed_stores()
    running.stats("reset") if running.name == "torc" else None
    failed_before = 0 if running.name == "torc" else failed_before
    moved_before = 0 if running.name == "torc" else int(before["slabs_moved"])
    with lab.probing(running.port) as probe:
        load = lab.load("lookaside", running.port, memory=p["memory_mb"] << 20, key_prefix=prefix,
                        value_size=size, turnovers=p["turnovers"], theta=p["theta"],
                        seed=p["seed"], slices=p["slices"])
    stats = running.stats()
    ratios = [s["hits"] / s["gets"] for s in load["slices"]]
    steady_slices = load["slices"][-max(1, len(ratios) // 3):]
    steady = sum(s["hits"] for s in steady_slices) / sum(s["gets"] for s in steady_slices)
    return {
        "size": size,
        "ratios": ratios,
        "steady": steady,
        "recovered_turnovers": _recovered(load["slices"], ratios, steady, p["memory_mb"] << 20),
        "failed": load["failed"],
        "failed_stores": running.failed_stores() - failed_before,
        "pages_moved": int(stats["slabs_moved"]) - moved_before,
        "probe": probe,
        "turn_us_max": int(stats["turn_us_max"]) if "turn_us_max" in stats else None,
        "resident_mb": running.resident_mb(),
    }


def _recovered(slices: list[dict], ratios: list[float], steady: float, memory: int) -> float | None:
    """Turnovers until the ratio is near its steady value, for good."""
    good = len(ratios)
    while good > 0 and ratios[good - 1] >= steady * (1 - RECOVERED_WITHIN):
        good -= 1
    return sum(s["stored_bytes"] for s in slices[:good + 1]) / memory


def show(results: dict[str, dict], p: dict) -> None:
    rows = []
    for number in range(len(str(p["sizes"]).split(","))):
        for name, r in results.items():
            phase = r["phases"][number]
            rows.append([f"{number + 1}: {phase['size']} bytes, {name}",
                         sum(phase["failed"].values()) + phase["failed_stores"],
                         phase["steady"], phase["alone"]["steady"], phase["recovered_turnovers"],
                         phase["alone"]["recovered_turnovers"], phase["pages_moved"],
                         phase["probe"]["us_p999"], phase["probe"]["us_max"],
                         phase["turn_us_max"]])
    table(["phase", "failed", "hit ratio", "of an empty one", "turnovers to it", "of an empty one",
           "pages moved", "p99.9 us", "max us", "longest turn us"], rows)
    for number in range(len(str(p["sizes"]).split(","))):
        for name, r in results.items():
            ratios = " ".join(f"{ratio:.2f}" for ratio in r["phases"][number]["ratios"])
            print(f"  {number + 1}, {name:10} {ratios}")
        for name, r in results.items():
            ratios = " ".join(f"{ratio:.2f}" for ratio in r["phases"][number]["alone"]["ratios"])
            print(f"  {number + 1}, {name:10} {ratios}  (begun empty)")


def check(name: str, r: dict) -> None:
    for number, phase in enumerate(r["phases"]):
        expect(phase["ratios"][-1] > 0, f"phase {number + 1}: nothing is found")
        if name == "torc":
            expect(not phase["failed"] and phase["failed_stores"] == 0,
                   f"phase {number + 1}: stores failed: {phase['failed']}")
    if name == "torc":
        expect(sum(phase["pages_moved"] for phase in r["phases"]) > 0, "no page was moved")

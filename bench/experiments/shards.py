"""Few shards or many, small memory or large: does the memory still hold what it should?

Each case is filled threefold. `held` is the share of the memory that keys and values take
afterwards. Then values of nearly 1 MB are stored and read, twice as many as there is room for.
"""

from harness.servers import Server

from .lab import Client, Lab, expect, table

TITLE = "shards: many shards, small and large memories"
NEEDS = "address space for the largest -m; it is not filled"
DEFAULTS = {"cases": "64:1,64:4,64:16,8:1,8:4,16:16,1024:16", "value_size": 200,
            "huge_mb": 262_144, "fill_mb_max": 200}
TINY = {"cases": "64:1,64:16,8:1", "fill_mb_max": 20, "huge_mb": 8192}

MEGABYTE = (1 << 20) - 200


def run(lab: Lab, server: Server, p: dict) -> dict:
    figures: dict = {"cases": []}
    for case in str(p["cases"]).split(","):
        memory_mb, threads = map(int, case.split(":"))
        figures["cases"].append(_case(lab, server, p, memory_mb, threads))
    with lab.serve(server, p["huge_mb"], threads=2, pinned=False) as running:
        lab.load("fill", running.port, keys=1000, value_size=p["value_size"])
        figures["huge"] = {"memory_mb": p["huge_mb"], "resident_mb": running.resident_mb(),
                           "items": running.count("curr_items")}
    return figures


def _case(lab: Lab, server: Server, p: dict, memory_mb: int, threads: int) -> dict:
    with lab.serve(server, memory_mb, threads=threads, pinned=False) as running:
        empty_mb = running.resident_mb()
        item_bytes = 12 + p["value_size"]
        fill_mb = min(3 * memory_mb, max(p["fill_mb_max"], 2 * memory_mb))
        lab.load("fill", running.port, keys=(fill_mb << 20) // item_bytes,
                 value_size=p["value_size"])
        items = running.count("curr_items")
        small_failed = running.failed_stores()
        resident_mb = running.resident_mb()
        value = bytes(MEGABYTE)
        answers: dict[str, int] = {}
        found = right_away = 0
        count = 2 * memory_mb
        with Client(running.port) as client:
            for i in range(count):
                answer = client.set(f"megabyte{i}", value)
                answers[answer] = answers.get(answer, 0) + 1
                right_away += client.get(f"megabyte{i}") is not None
            found = sum(client.get(f"megabyte{i}") is not None for i in range(count))
        return {"memory_mb": memory_mb, "threads": threads, "items": items,
                "held_share": items * item_bytes / (memory_mb << 20),
                "small_failed": small_failed, "resident_mb": resident_mb, "empty_mb": empty_mb,
                "answers": answers, "megabytes": count, "right_away": right_away, "found": found}


def show(results: dict[str, dict], p: dict) -> None:
    rows = []
    for number in range(len(next(iter(results.values()))["cases"])):
        for name, r in results.items():
            c = r["cases"][number]
            rows.append([f"-m {c['memory_mb']} -t {c['threads']}, {name}", c["items"],
                         f"{c['held_share']:.1%}", c["small_failed"], c["resident_mb"],
                         c["empty_mb"], c["megabytes"] - c["answers"].get("STORED", 0),
                         f"{c['right_away']} of {c['megabytes']}", c["found"]])
    table(["", "items", "held", "failed", "resident MB", "when empty", "1 MB: failed", "read back",
           "held"], rows)
    for name, r in results.items():
        huge = r["huge"]
        print(f"  {name} -m {huge['memory_mb']}: {huge['items']} items, resident "
              f"{huge['resident_mb']:,.1f} MB")


def check(name: str, r: dict) -> None:
    for c in r["cases"]:
        where = f"-m {c['memory_mb']} -t {c['threads']}"
        expect(c["items"] > 0, f"{where}: nothing is held")
        if name == "torc":
            expect(c["small_failed"] == 0, f"{where}: {c['small_failed']} stores failed")
            expect(c["answers"] == {"STORED": c["megabytes"]}, f"{where}: {c['answers']}")
            expect(c["right_away"] == c["megabytes"],
                   f"{where}: {c['right_away']} of {c['megabytes']} were there just afterwards")
    expect(r["huge"]["items"] == 1000, "items are missing from a huge memory")

"""The table grows from nothing to many items: what a client beside it feels."""

from harness.servers import Server

from .lab import PROBE_HEAD, Lab, expect, probe_cells, table

TITLE = "growth: from nothing to many small items, with a probing client beside"
NEEDS = "2 GB of memory for torc, 2 GB for memcached"
DEFAULTS = {"items": 20_000_000, "value_size": 8, "memory_mb": 4096, "probe_us": 1000}
TINY = {"items": 60_000, "memory_mb": 64}


def run(lab: Lab, server: Server, p: dict) -> dict:
    with lab.serve(server, p["memory_mb"]) as running:
        running.stats("reset")
        with lab.probing(running.port, every_us=p["probe_us"]) as probe:
            delayed = running.delayed_seconds()
            filled = lab.load("fill", running.port, keys=p["items"], value_size=p["value_size"])
            delayed = running.delayed_seconds() - delayed
        stats = running.stats()
        return {
            "probe": probe,
            "fill_seconds": filled["seconds"],
            "kept_waiting_share": delayed / filled["seconds"],
            "items": int(stats["curr_items"]),
            "evictions": int(stats["evictions"]),
            "failed_stores": running.failed_stores(),
            "index_mb": int(stats["hash_bytes"]) / 2**20,
            "resident_mb": running.resident_mb(),
            "turn_us_max": _number(stats, "turn_us_max"),
            "background_us_max": _number(stats, "background_us_max"),
        }


def _number(stats: dict[str, str], name: str) -> int | None:
    return int(stats[name]) if name in stats else None


def show(results: dict[str, dict], p: dict) -> None:
    table(["", *PROBE_HEAD, "longest turn us", "of it background", "sets/s", "evicted", "index MB",
           "resident MB", "kept waiting"],
          [[name, *probe_cells(r["probe"]), r["turn_us_max"], r["background_us_max"],
            p["items"] / r["fill_seconds"], r["evictions"], r["index_mb"], r["resident_mb"],
            f"{r['kept_waiting_share']:.1%}"] for name, r in results.items()])
    for name, r in results.items():
        slow = ", ".join(f"{s['us']:,.0f} us at {s['at_s']:.2f} s"
                         for s in r["probe"]["slowest"][:5])
        print(f"  {name}: slowest answers: {slow}")


def check(name: str, r: dict) -> None:
    expect(r["failed_stores"] == 0, f"{r['failed_stores']} stores failed")
    expect(r["evictions"] == 0, "items were evicted though there was room")
    # The probe's own item, too.
    expect(r["items"] == TINY["items"] + 1, f"{r['items']} items are there")
    expect(r["probe"]["probes"] > 0 and r["probe"]["hits"] == r["probe"]["probes"],
           "a probe found nothing")
    if name == "torc":
        expect(r["turn_us_max"] > 0, "no turn took any time")
        expect(r["background_us_max"] <= r["turn_us_max"], "a part is longer than the whole")

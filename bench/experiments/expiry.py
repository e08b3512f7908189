"""Items expire and nobody asks for them: when is their memory back, and at what cost?

Half of the items live for 1 to `short_max` seconds, half for hours, in random order.
"""

import time

from harness.servers import Server

from .lab import PROBE_HEAD, Client, Lab, Running, expect, probe_cells, table, wait_until

TITLE = "expiry: memory of expired and flushed items, and the cost of finding them"
NEEDS = "3 GB of memory for 10,000,000 items; two minutes a server"
DEFAULTS = {"items": 1_000_000, "value_size": 32, "memory_mb": 2048, "short_max": 20,
            "patience": 60.0, "idle_seconds": 5.0}
TINY = {"items": 20_000, "memory_mb": 64, "short_max": 2, "patience": 20.0, "idle_seconds": 0.5}


def run(lab: Lab, server: Server, p: dict) -> dict:
    with lab.serve(server, p["memory_mb"]) as running:
        figures = _expire(lab, running, p)
        figures["idle_cpu_share"] = _idle(running, p)
        figures["flush"] = _flush(lab, running, p)
        figures["resident_mb"] = running.resident_mb()
        return figures


def _expire(lab: Lab, running: Running, p: dict) -> dict:
    half = p["items"] // 2
    lab.load("fill", running.port, keys=half, value_size=p["value_size"], key_prefix="l",
             exptime_min=3600, exptime_max=4 * 3600)
    lab.load("fill", running.port, keys=half, value_size=p["value_size"], key_prefix="s",
             exptime_min=1, exptime_max=p["short_max"])
    filled_at = time.monotonic()
    stats = running.stats()
    full_bytes, full_items = int(stats["bytes"]), int(stats["curr_items"])
    cpu = running.cpu_seconds()
    # What is left a second after its time, in parts of all that expire; sampled while they do.
    lag: list[float] = []
    with lab.probing(running.port) as probe:
        while (passed := time.monotonic() - filled_at) < p["short_max"]:
            dead_share = max(0.0, min(1.0, (passed - 1) / p["short_max"]))
            left = running.count("curr_items") - half
            lag.append(left / half - (1 - dead_share))
            time.sleep(min(0.5, p["short_max"] / 10))
        # The last ones die within this second.
        back = wait_until(lambda: running.count("curr_items") <= half * 1.01 + 1, p["patience"])
        all_back = wait_until(lambda: running.count("curr_items") <= half + 1, p["patience"])
    seconds = time.monotonic() - filled_at
    return {
        "items": full_items,
        "held_too_long_share_max": max(lag),
        "seconds_to_99": back,
        "seconds_to_all": None if back is None or all_back is None else back + all_back,
        "bytes_before": full_bytes,
        "bytes_after": running.count("bytes"),
        "cpu_share": (running.cpu_seconds() - cpu) / seconds,
        "probe": probe,
    }


def _idle(running: Running, p: dict) -> float:
    """Processor time in a second with items that live, and nothing to do."""
    time.sleep(0.2)
    cpu, begin = running.cpu_seconds(), time.monotonic()
    time.sleep(p["idle_seconds"])
    return (running.cpu_seconds() - cpu) / (time.monotonic() - begin)


def _flush(lab: Lab, running: Running, p: dict) -> dict:
    half = p["items"] // 2
    with Client(running.port) as client:
        last = f"l{half - 1:0{11}}"
        expect(client.get(last) is not None, f"{last} should live")
        with lab.probing(running.port) as probe:
            cpu = running.cpu_seconds()
            begin = time.monotonic()
            answer = client.ask("flush_all")
            answered = time.monotonic() - begin
            seen = client.get(last)
            # The probe's own item is flushed too, and not stored again.
            back = wait_until(lambda: running.count("curr_items") <= half * 0.01 + 1, p["patience"])
            cpu = running.cpu_seconds() - cpu
    return {"answer": answer, "answered_us": answered * 1e6, "readers_see_it": seen is None,
            "seconds_to_99": back, "cpu_seconds": cpu, "probe": probe}


def show(results: dict[str, dict], p: dict) -> None:
    table(["mixed expiry", *PROBE_HEAD, "overdue at most", "99% back after s", "all back after s",
           "CPU meanwhile", "CPU idle, live items", "resident MB"],
          [[name, *probe_cells(r["probe"]), f"{r['held_too_long_share_max']:.1%}",
            r["seconds_to_99"], r["seconds_to_all"], f"{r['cpu_share']:.2%}",
            f"{r['idle_cpu_share']:.2%}", r["resident_mb"]] for name, r in results.items()])
    table(["flush_all", *PROBE_HEAD, "answer us", "seen at once", "99% back after s", "CPU s"],
          [[name, *probe_cells(r["flush"]["probe"]), r["flush"]["answered_us"],
            r["flush"]["readers_see_it"], r["flush"]["seconds_to_99"], r["flush"]["cpu_seconds"]]
           for name, r in results.items()])
    print(f"  '-': not within {p['patience']:.0f} s. {p['items']:,} items, half of them live for 1 "
          f"to {p['short_max']} s")


def check(name: str, r: dict) -> None:
    expect(r["flush"]["answer"] == "OK", f"flush_all: {r['flush']['answer']}")
    expect(r["flush"]["readers_see_it"], "a flushed item was found")
    expect(r["items"] >= TINY["items"], f"{r['items']} items are there")
    if name == "torc":
        expect(r["seconds_to_all"] is not None, "expired items keep their memory")
        expect(r["bytes_after"] < r["bytes_before"] * 0.6, "expired items keep their bytes")
        expect(r["flush"]["seconds_to_99"] is not None, "flushed items keep their memory")

"""Large values beside small ones; uploads that stall and die; whether their memory comes back."""

import os
import random
import threading
import time

from harness.errors import BenchError
from harness.servers import Server

from .lab import (PROBE_HEAD, Client, Lab, Running, expect, probe_cells, pseudo_random_bytes, table)

TITLE = "large: values of 1 MB to 64 MB beside small gets"
NEEDS = "3 GB of memory"
DEFAULTS = {"memory_mb": 1024, "item_mb": 64, "writers": 4, "readers": 4, "seconds": 10.0,
            "stalled": 12, "stalled_mb": 32, "probe_us": 5000,
            "seed": 1}
TINY = {"memory_mb": 64, "item_mb": 4, "writers": 2, "readers": 2, "seconds": 0.5, "stalled": 4,
        "stalled_mb": 3}


class Traffic:
    """Connections that store and read large values until told to stop; every byte is checked."""

    def __init__(self, port: int, core: int, p: dict):
        self.port = port
        self.core = core
        self.p = p
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.stored = self.read = self.missed = self.bytes = 0
        self.failed: dict[str, int] = {}
        self.wrong: list[str] = []
        # Sizes are of the key, so that a reader knows what it has to get.
        self.keys = max(4, 2 * p["memory_mb"] // max(1, p["item_mb"] // 2))
        top = (p["item_mb"] << 20) - 1024
        low = min(1 << 20, top // 4)
        chooser = random.Random(p["seed"])
        # Evenly over the powers of two: as many of 1 to 2 MB as of 32 to 64 MB.
        self.sizes = [int(low * (top / low) ** chooser.random()) for _ in range(self.keys)]
        work = [self._write] * p["writers"] + [self._read] * p["readers"]
        self.threads = [threading.Thread(target=self._guard, args=(each, number))
                        for number, each in enumerate(work)]

    def __enter__(self) -> "Traffic":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def _guard(self, work, number: int) -> None:
        # Away from the server's core: it would take it for milliseconds at a time, and that would
        # look like a server that stopped.
        os.sched_setaffinity(0, {self.core})
        try:
            with Client(self.port) as client:
                work(client, random.Random(self.p["seed"] * 1000 + number))
        except (BenchError, OSError) as error:
            with self.lock:
                self.wrong.append(f"{work.__name__}: {error}")

    def _write(self, client: Client, chooser: random.Random) -> None:
        while not self.stop.is_set():
            key = chooser.randrange(self.keys)
            answer = client.set(f"large{key}", pseudo_random_bytes(self.sizes[key], key))
            with self.lock:
                if answer == "STORED":
                    self.stored += 1
                    self.bytes += self.sizes[key]
                else:
                    self.failed[answer] = self.failed.get(answer, 0) + 1

    def _read(self, client: Client, chooser: random.Random) -> None:
        while not self.stop.is_set():
            key = chooser.randrange(self.keys)
            value = client.get(f"large{key}")
            with self.lock:
                if value is None:
                    self.missed += 1
                elif value == pseudo_random_bytes(self.sizes[key], key):
                    self.read += 1
                    self.bytes += len(value)
                else:
                    self.wrong.append(f"large{key} has wrong bytes")
            if value is None:
                time.sleep(0.001)

    def figures(self) -> dict:
        return {"stored": self.stored, "read": self.read, "missed": self.missed,
                "failed": self.failed, "wrong": self.wrong, "megabytes": self.bytes / 2**20}


def run(lab: Lab, server: Server, p: dict) -> dict:
    figures: dict = {}
    with lab.serve(server, p["memory_mb"], "-I", f"{p['item_mb']}m") as running:
        figures["held_before"] = _capacity(running, p)
        with lab.probing(running.port, every_us=p["probe_us"]) as figures["probe_alone"]:
            time.sleep(p["seconds"] / 4)
        with lab.probing(running.port, every_us=p["probe_us"]) as figures["probe"], \
                Traffic(running.port, lab.load_core, p) as traffic:
            begin, delayed = time.monotonic(), running.delayed_seconds()
            time.sleep(p["seconds"])
            delayed = running.delayed_seconds() - delayed
            figures["kept_waiting_share"] = delayed / (time.monotonic() - begin)
        figures["traffic"] = traffic.figures()
        # Uploads that stop half-way, beside the same traffic; then their clients die.
        stalled = [_stall(running, p, i) for i in range(p["stalled"])]
        with lab.probing(running.port, every_us=p["probe_us"]) as figures["probe_stalled"], \
                Traffic(running.port, lab.load_core, p) as traffic:
            time.sleep(p["seconds"] / 2)
        figures["traffic_stalled"] = traffic.figures()
        for client in stalled:
            client.close()
        # Which values a full cache evicts is its affair, and leaves a few places more or less; memory
        # that something holds is missing each time.
        figures["held_after"] = max(_capacity(running, p) for _ in range(3))
        figures["resident_mb"] = running.resident_mb()
        stats = running.stats()
        figures["turn_us_max"] = int(stats["turn_us_max"]) if "turn_us_max" in stats else None
    return figures


def _stall(running: Running, p: dict, number: int) -> Client:
    size = p["stalled_mb"] << 20
    client = Client(running.port)
    client.socket.settimeout(5)
    client.socket.sendall(f"set stalled{number} 0 0 {size}\r\n".encode())
    try:
        client.socket.sendall(bytes(size // 2))
    except TimeoutError:
        pass  # the server waits for memory and does not read on: stalled all the same
    return client


def _capacity(running: Running, p: dict) -> int:
    """Flushes, stores more values of an eighth of the limit than there is room for, and counts what
    is left: memory that something still holds is missing here."""
    size = min(1 << 20, (p["item_mb"] << 20) // 8) - 512
    count = 2 * (p["memory_mb"] << 20) // size
    with Client(running.port) as client:
        client.ask("flush_all")
        value = bytes(size)
        for i in range(count):
            answer = client.set(f"capacity{i}", value)
            if answer != "STORED":
                raise BenchError(f"{running.name}: a set of {size} bytes: {answer}")
        return sum(client.get(f"capacity{i}") is not None for i in range(count))


def show(results: dict[str, dict], p: dict) -> None:
    rows = []
    for name, r in results.items():
        for title, probe, traffic in (("alone", "probe_alone", None),
                                      ("beside large values", "probe", "traffic"),
                                      ("and stalled uploads", "probe_stalled", "traffic_stalled")):
            t = r[traffic] if traffic else None
            rows.append([f"{name}, {title}", *probe_cells(r[probe]),
                         *([t["stored"], t["read"], sum(t["failed"].values()), t["megabytes"]]
                           if t else [None] * 4)])
    table(["small gets", *PROBE_HEAD, "stored", "read", "failed", "MB"], rows)
    for name, r in results.items():
        print(f"  {name}: values of 1 MB held before {r['held_before']}, after "
              f"{r['held_after']}; resident {r['resident_mb']:,.0f} MB; longest turn "
              f"{r['turn_us_max']} us, kept waiting {r['kept_waiting_share']:.1%}; failures "
              f"{r['traffic']['failed']} "
              f"{r['traffic_stalled']['failed']}")


def check(name: str, r: dict) -> None:
    for part in ("traffic", "traffic_stalled"):
        expect(not r[part]["wrong"], f"{r[part]['wrong']}")
        expect(r[part]["stored"] > 0, "nothing large was stored")
        if name == "torc":
            expect(not r[part]["failed"], f"stores failed: {r[part]['failed']}")
    if name == "torc":
        expect(r["held_after"] >= r["held_before"] - 1,
               f"{r['held_before']} values were held before, {r['held_after']} after")

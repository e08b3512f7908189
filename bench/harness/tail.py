"""Latency against load, and beside disturbances.

First memcached's own saturation: what it does in a closed loop with all connections busy. Then
every server gets shares of that rate in an open loop with Poisson arrivals: a request's latency
counts from the moment it was due, so that a server which stops for 10 ms has made every request of
these 10 ms late, not one. Last, one share again with something going on beside it:

    growth    new items stored as fast as one connection can: the index grows
    shift     a full memory of small items gets large ones
    dump      all keys dumped, again and again
    flush     flush_all, four times
    large     values of 1 MB stored and read
    churn     connections that come, ask once and go

What disturbs runs on a core of its own where there are three; else on the load's, and there the
load generator comes first, if it may (the scheduler's real-time class: root). Where it may not, its
own delays are in the latencies of all servers alike: `late` is the time that it was kept waiting.
"""

import os
import subprocess
import threading
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from statistics import median
from typing import Iterator

from .client import Client
from .errors import BenchError
from .measure import Bench, Figures, LoadGenerator, may_come_first, progress
from .rounds import Ratio, ratio_of
from .servers import Running, Server
from .text import table
from .workloads import Row

TITLE = "tail: latency against load, and beside disturbances"

# Nine gets to a set by Zipf's law; keys enough for pages to be touched all over.
ROW = Row("tail", "nine gets to a set, by Zipf's law, one at a time",
          ("--work", "mixed", "--set-share", "0.1", "--popularity", "zipf"),
          keys=100_000, memory_mb=1024, misses=True)
SHARES = (0.3, 0.5, 0.7, 0.9)
DISTURBED_SHARE = 0.7
# Kept waiting for its core for more than this share of the time, the load generator measures that.
DISTURBED_SHARE_MAX = 0.05
PERCENTILES = ("p50", "p90", "p99", "p999", "p9999", "max")
# What goes on beside it starts a little after the counting, so that its beginning is counted.
DISTURBANCE_DELAY_SECONDS = 0.2
LARGE_VALUE = b"v" * 1_000_000
LARGE_VALUES_PER_SECOND = 20
# Requests a second of those disturbances that are load themselves: well under what the server does.
DISTURBING_RATE = 2_000
PER_SCALE = {
    # shares, disturbances (none: all), seconds
    "tiny": ((0.5,), None, 0.3),
    "quick": ((0.3, 0.7), ("growth", "dump"), 2.0),
    "full": (SHARES, None, 5.0),
}


class Disturbance:
    """Something that goes on beside the load until it is told to stop."""

    def __init__(self, bench: Bench, running: Running, core: int):
        self.bench = bench
        self.running = running
        self.load = LoadGenerator(bench.load.binary, core)
        self.stop = threading.Event()
        self.done = 0

    def growth(self) -> None:
        self._load("--work", "set", "--popularity", "sequential", "--key-prefix", "g", "--keys",
                   "5000000", "--connections", "1", "--pipeline", "16")

    def shift(self) -> None:
        self._load("--work", "set", "--popularity", "sequential", "--key-prefix", "s", "--keys",
                   "1000000", "--connections", "1", "--value-size", "4000", "--may-refuse",
                   "--rate", str(DISTURBING_RATE))

    def dump(self) -> None:
        with Client(self.running.port) as client:
            while not self.stop.wait(0.05):
                client.dump_keys()
                self.done += 1

    def flush(self) -> None:
        with Client(self.running.port) as client:
            while not self.stop.is_set():
                if client.ask("flush_all") != "OK":
                    raise BenchError("flush_all was refused")
                self.done += 1
                self.stop.wait(self.bench.seconds / 4)

    def large(self) -> None:
        with Client(self.running.port) as client:
            while not self.stop.wait(1 / LARGE_VALUES_PER_SECOND):
                key = f"large{self.done % 10}"
                if client.set(key, LARGE_VALUE) != "STORED":
                    raise BenchError("a value of 1 MB was refused")
                if client.get(key) != LARGE_VALUE:
                    raise BenchError("a value of 1 MB did not come back")
                self.done += 1

    def churn(self) -> None:
        self._load("--work", "get", "--churn", "--connections", "4", "--keys", str(ROW.keys),
                   *ROW.sizes, "--rate", str(DISTURBING_RATE))

    def _load(self, *options: str) -> None:
        command = self.load.command(["--port", str(self.running.port), *options, "--warmup", "0",
                                     "--seconds", "600"])
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                   text=True)
        try:
            while not self.stop.wait(0.02):
                if process.poll() is not None:
                    raise BenchError(f"{' '.join(command)}\n{process.stderr.read()}")
            self.done += 1
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()


DISTURBANCES: dict[str, Callable[[Disturbance], None]] = {
    name: getattr(Disturbance, name)
    for name in ("growth", "shift", "dump", "flush", "large", "churn")
}


@contextmanager
def disturbing(bench: Bench, running: Running, name: str | None, core: int) -> Iterator[None]:
    if name is None:
        yield
        return
    disturbance = Disturbance(bench, running, core)
    errors: list[Exception] = []

    def work() -> None:
        try:
            if not disturbance.stop.wait(bench.warmup + DISTURBANCE_DELAY_SECONDS):
                DISTURBANCES[name](disturbance)
        except Exception as error:  # handed to the thread that waits
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        disturbance.stop.set()
        thread.join(timeout=60)
    if errors:
        raise BenchError(f"{running.name}, {name}: {errors[0]}")
    if disturbance.done == 0:
        raise BenchError(f"{running.name}, {name}: it did not come to it")


def row_for(bench: Bench, disturbance: str | None) -> Row:
    """A memory that is full of small items is what a shift of sizes wants."""
    row = ROW.small(5_000, 50) if bench.tiny else ROW
    if disturbance != "shift":
        return row
    return replace(row, memory_mb=64, keys=row.keys * (1 if bench.tiny else 5))


def run(bench: Bench, servers: list[Server], scale: str) -> dict:
    shares, names, seconds = PER_SCALE[scale]
    storing = [server for server in servers if server.stores]
    core = disturbing_core(bench)
    shares_core = core == bench.load.core
    load = replace(bench.load, comes_first=shares_core and may_come_first())
    measured = replace(bench, seconds=seconds, load=load)
    saturation, by = find_saturation(measured, storing)
    result: dict = {"saturation": saturation, "saturation_of": by, "row": " ".join(ROW.load),
                    "load_comes_first": load.comes_first, "points": []}
    print(f"\n{TITLE}\n  {by} does {saturation:,.0f} requests a second in a closed loop: 100 %")
    plan = [(share, None) for share in shares]
    plan += [(DISTURBED_SHARE, name) for name in names or DISTURBANCES]
    for share, name in plan:
        rounds: dict[str, list[Figures]] = {server.name: [] for server in storing}
        for turn in range(bench.rounds):
            for server in storing:
                figures = measure(measured, server, name, share * saturation, turn + 1, core)
                rounds[server.name].append(figures)
                progress(f"tail, {share:.0%}, {name or 'undisturbed'}, round {turn + 1}: "
                         f"{server.name} p99.9 {figures['latency_us_p999']:,.0f} us")
        point = {"share": share, "disturbance": name,
                 "rounds": {server: list(map(trimmed, all_figures))
                            for server, all_figures in rounds.items()}}
        result["points"].append(point)
        show_point(point)
    return result


def find_saturation(bench: Bench, servers: list[Server]) -> tuple[float, str]:
    """The requests a second of memcached in a closed loop; of the last server without it."""
    peer = next((server for server in servers if server.name == "memcached"), servers[-1])
    row = row_for(bench, None)
    sample = bench.measure(peer, row, seed=1)
    return sample["requests_per_second"], peer.name


def measure(bench: Bench, server: Server, disturbance: str | None, rate: float, seed: int,
            core: int) -> Figures:
    row = row_for(bench, disturbance)
    with bench.serve(server, row) as running:
        bench.prepare(running, row)
        with disturbing(bench, running, disturbance, core):
            return bench.measured(running, [*row.options(running.port), "--seed", str(seed),
                                            "--rate", f"{rate:.0f}", "--arrivals", "poisson"])[1]


def disturbing_core(bench: Bench) -> int:
    others = sorted(os.sched_getaffinity(0) - set(bench.cores.used))
    return others[0] if others else bench.cores.load


def trimmed(figures: Figures) -> Figures:
    """What the report wants of a run."""
    kept = {f"latency_us_{name}": figures.get(f"latency_us_{name}") for name in PERCENTILES}
    for name in ("requests_per_second", "server_cpu_share", "server_cpu_us", "load_delayed_share",
                 "server_delayed_share", "hit_ratio", "latency_us_distribution"):
        kept[name] = figures.get(name)
    kept["kept_up"] = figures["open_loop"]["kept_up"]
    return kept


def verdict(point: dict, first: str, other: str, ratio: Ratio) -> str:
    """What may be said of two servers' latencies. The load generator's own delays are in both."""
    for server in (first, other):
        runs = point["rounds"][server]
        if not all(f["kept_up"] for f in runs):
            return f"{server} did not keep up"
        if median(f["load_delayed_share"] for f in runs) > DISTURBED_SHARE_MAX:
            return "the load generator was kept waiting: no verdict"
    return ratio.verdict("longer", "shorter").removesuffix(" ahead")


def show_point(point: dict) -> None:
    rounds = point["rounds"]

    def middle(server: str, name: str) -> float | None:
        known = [f[name] for f in rounds[server] if f[name] is not None]
        return median(known) if known else None

    rows = []
    names = list(rounds)
    for server in names:
        row = [server, middle(server, "requests_per_second") / 1e3,
               f"{middle(server, 'server_cpu_share'):.0%}",
               *(middle(server, f"latency_us_{name}") for name in PERCENTILES),
               f"{middle(server, 'load_delayed_share'):.1%}"]
        for name in ("p99", "p999"):
            key = f"latency_us_{name}"
            if server == names[0]:
                row += ["", ""]
                continue
            ratio = ratio_of((f[key] for f in rounds[names[0]]), (f[key] for f in rounds[server]))
            row += [str(ratio), verdict(point, names[0], server, ratio)]
        rows.append(row)
    title = f"{point['share']:.0%} of saturation, {point['disturbance'] or 'undisturbed'}"
    print()
    table([title, "kops/s", "core", *(f"{name} us" for name in PERCENTILES), "late",
           f"{names[0]}'s p99 /", "", f"{names[0]}'s p99.9 /", ""], rows)

"""What it costs that threads serve one cache together: one server of N threads against N servers of
one thread each, on the same cores, with the same clients.

    together    [thread 0 | thread 1]          clients on each core ask for keys of all threads
    apart       [server 0]  [server 1]         clients on each core ask both servers

Each core of the load has as many load generators as there are servers apart, so that in both cases
half of what they send (of N cores, all but an Nth) goes to another core. What is left is the price
of sharing: locks, messages, and memory that goes from cache to cache. By processor time, since on a
small machine the load has to run on the servers' cores.
"""

import os
from contextlib import ExitStack
from dataclasses import replace
from statistics import mean, median

from .errors import BenchError
from .measure import LONGER, RUNS_MAX, Bench, Figures, check, finish, got_to_work, progress
from .rounds import Ratio
from .servers import Running, Server, serving
from .text import table
from .workloads import BY_NAME, Row

TITLE = "threads: one server of several threads against as many servers of one"
ROWS = ("get", "get-pipeline", "get-multi", "set", "set-pipeline", "mixed-pipeline")
KEYS_TINY = 5_000
ROWS_TINY = ("get-multi", "set-pipeline")
WAYS = ("apart", "together")


def run(bench: Bench, servers: list[Server], scale: str) -> dict:
    count = max(2, bench.threads)
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < count:
        print(f"\n{TITLE}\n  skipped: {count} threads want as many cores")
        return {"skipped": f"{len(cores)} cores"}
    serving_cores = cores[:count]
    load_cores = cores[count:2 * count] if len(cores) >= 2 * count else serving_cores
    result: dict = {"threads": count, "load_cores": load_cores, "server_cores": serving_cores,
                    "work": {}}
    storing = [server for server in servers if server.stores]
    for name in ROWS_TINY if bench.tiny else ROWS:
        row = BY_NAME[name]
        row = row.small(KEYS_TINY, row.connections) if bench.tiny else row
        rounds: dict[str, dict[str, list[dict]]] = {
            server.name: {way: [] for way in WAYS} for server in storing}
        for turn in range(bench.rounds):
            for server in storing:
                for way in WAYS:
                    figures = measure(bench, server, row, way, serving_cores, load_cores, turn)
                    rounds[server.name][way].append(figures)
                    progress(f"threads, {name}, round {turn + 1}: {server.name} {way} "
                             f"{figures['cpu_us']:.3f} us")
        result["work"][name] = {server: figures_of(ways) for server, ways in rounds.items()}
        show(row, result["work"][name], count)
    return result


def measure(bench: Bench, server: Server, row: Row, way: str, cores: list[int],
            load_cores: list[int], turn: int) -> dict:
    """Processor time of all servers for a key, and the keys in a second."""
    count = len(cores)
    with ExitStack() as stack:
        if way == "together":
            one = serving(server, ",".join(map(str, cores)), row.memory_mb, count)
            targets = [stack.enter_context(one)] * count
        else:
            targets = [stack.enter_context(serving(server, str(core), row.memory_mb))
                       for core in cores]
        for running in dict.fromkeys(targets):
            bench.prepare(running, row)
        each = replace(row, connections=max(1, row.connections // count))
        figures = loaded(bench, each, targets, load_cores, turn)
    for _, f in figures:
        check(server, row, f)
    keys_per_second = sum(f["keys_per_second"] for _, f in figures)
    # Each load generator has seen all that its server used while it ran.
    shares = [mean(f["server_cpu_share"] for of, f in figures if of is running)
              for running in dict.fromkeys(targets)]
    return {"cpu_us": sum(shares) / keys_per_second * 1e6, "keys_per_second": keys_per_second}


def loaded(bench: Bench, row: Row, targets: list[Running], load_cores: list[int],
           turn: int) -> list[tuple[Running, Figures]]:
    """Each target under load from each core, all at the same time; what each load generator saw of
    its server. As Bench.measured, longer where a time was too short."""
    seconds = bench.seconds
    for _ in range(RUNS_MAX):
        runs = []
        for core in load_cores:
            for number, running in enumerate(targets):
                options = [*row.options(running.port), "--seed",
                           str(100 * turn + 10 * number + core + 1)]
                load = replace(bench.load, core=core)
                runs.append((running, load.start(bench.timed(running, options, seconds))))
        figures = [(running, finish(process)) for running, process in runs]
        if all(got_to_work(f) for _, f in figures):
            return figures
        seconds *= LONGER
    raise BenchError(f"{targets[0].name}: not all was answered in {seconds / LONGER:g} s")


def figures_of(ways: dict[str, list[dict]]) -> dict:
    apart, together = ways["apart"], ways["together"]
    return {
        "cpu_us": {way: median(f["cpu_us"] for f in ways[way]) for way in WAYS},
        "keys_per_second": {way: median(f["keys_per_second"] for f in ways[way]) for way in WAYS},
        # Above 1: sharing costs.
        "ratio": [t["cpu_us"] / a["cpu_us"] for a, t in zip(apart, together)],
    }


def show(row: Row, by_server: dict[str, dict], count: int) -> None:
    print()
    table([f"{row.title}: {count} servers of one thread, one of {count}", "apart: kkeys/s",
           "CPU us", "together: kkeys/s", "CPU us", "CPU together / apart", ""],
          [[name, f["keys_per_second"]["apart"] / 1e3, f["cpu_us"]["apart"],
            f["keys_per_second"]["together"] / 1e3, f["cpu_us"]["together"],
            str(Ratio(tuple(f["ratio"]))), verdict(f["ratio"])]
           for name, f in by_server.items()])


def verdict(rounds: list[float]) -> str:
    return Ratio(tuple(rounds)).verdict("together costs more", "together costs less").removesuffix(
        " ahead")

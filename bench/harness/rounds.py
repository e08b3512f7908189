"""Servers in turn, ratios round by round, and when a difference is one.

In every round each server runs once (A B A B), so that whatever else the machine does falls on all
of them; a ratio is taken within a round, never across rounds. A difference is called one only if
every round shows it and the rounds agree well enough: the 95 % interval of the rounds' ratios by
Student's t, on their logarithms (a ratio of 2 is as far from 1 as one of 0.5), leaves 1 out. With
three rounds that asks for agreement: one round of 1.20 and two of 1.02 are no difference.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import mean, median, stdev

from .measure import Bench, Sample, progress
from .servers import Server
from .text import number
from .workloads import Row

# Below this share of its core a server was not what limited the run.
SATURATED_SHARE = 0.95

# Student's t, two-sided 95 %, by degrees of freedom; from 10 on the last one, a little too strict.
T_95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)


@dataclass(frozen=True)
class Ratio:
    """Of the first server to the other one; above 1, the first is ahead."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.rounds)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % of it; without bounds for a single round, which says nothing about the next."""
        if len(self.rounds) < 2:
            return 0.0, math.inf
        logs = [math.log(ratio) for ratio in self.rounds]
        t = T_95[min(len(logs) - 2, len(T_95) - 1)]
        half = t * stdev(logs) / math.sqrt(len(logs))
        return math.exp(mean(logs) - half), math.exp(mean(logs) + half)

    @property
    def is_difference(self) -> bool:
        low, high = self.interval
        return (min(low, *self.rounds) > 1 if self.median > 1 else
                max(high, *self.rounds) < 1)

    def verdict(self, first: str, other: str) -> str:
        if len(self.rounds) < 2:
            return "one round: no verdict"
        if not self.is_difference:
            return "no difference that the spread carries"
        return f"{first if self.median > 1 else other} ahead"

    def __str__(self) -> str:
        return f"{self.median:.2f} ({' '.join(f'{value:.2f}' for value in self.rounds)})"


def ratio_of(above: Iterable[float], below: Iterable[float]) -> Ratio:
    return Ratio(tuple(a / b if b else math.inf for a, b in zip(above, below)))


def by_rate(samples: list[Sample], others: list[Sample]) -> Ratio:
    return ratio_of((s.rate for s in samples), (s.rate for s in others))


def by_cpu(samples: list[Sample], others: list[Sample]) -> Ratio:
    """How many times as much processor time a key costs the others."""
    return ratio_of((s.cpu_us for s in others), (s.cpu_us for s in samples))


def judged(samples: dict[str, list[Sample]], first: str, other: str,
           threads: int) -> dict[str, tuple[Ratio, str]]:
    """By throughput and by CPU time: the ratio, and what may be said of it. A server that had time
    to spare was not what limited its throughput, which then says nothing about it."""
    rate, cpu = by_rate(samples[first], samples[other]), by_cpu(samples[first], samples[other])
    full = all(is_full(samples[name], threads) for name in (first, other))
    return {"throughput": (rate, rate.verdict(first, other) if full or len(rate.rounds) < 2
                           else "a core was not full: compare CPU"),
            "cpu": (cpu, cpu.verdict(first, other))}


def is_full(samples: list[Sample], threads: int) -> bool:
    return median(sample["server_cpu_share"] for sample in samples) >= SATURATED_SHARE * threads


Cell = tuple[Server, Row]


def take_turns(bench: Bench, cells: list[Cell]) -> dict[tuple[str, str], list[Sample]]:
    """Runs every cell once a round; by the names of row and server, its samples. System calls are
    counted in the first round only: they hardly vary."""
    samples: dict[tuple[str, str], list[Sample]] = {}
    for turn in range(bench.rounds):
        for server, row in cells:
            count = turn == 0 and not (bench.tiny and samples)  # in small, that it works at all
            sample = bench.measure(server, row, seed=turn + 1, count=count)
            samples.setdefault((row.name, server.name), []).append(sample)
            progress(f"{row.name}, round {turn + 1} of {bench.rounds}: {server.name} "
                     f"{number(sample.rate)} {row.unit}")
    return samples


def run_row(bench: Bench, servers: list[Server], row: Row) -> dict[str, list[Sample]]:
    """The row on each server that it is for, in turn; by server."""
    cells = [(server, row) for server in servers if row.is_for(server)]
    return {name: samples for (_, name), samples in take_turns(bench, cells).items()}


def pairs_of(names: list[str]) -> list[tuple[str, str]]:
    """The first server against each other one; of two builds of torc the first is the newer."""
    if not names or names[0] == "memcached" and "floor" not in names:
        return []
    first = names[0] if names[0] != "memcached" else "floor"
    return [(first, name) for name in names if name != first]

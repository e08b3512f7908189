#!/usr/bin/python3
"""Counts what a batch of replies costs torc in system calls, submissions, segments and processor
time, for the ways of joining the sends of a batch: none, MSG_MORE, TCP_CORK, and as torc does it.
The ways take turns (A B C D A B C D). docs/segments.md has the table and says what follows from it.
Counts hold on a busy machine, too; processor time wants a quiet one.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from harness.errors import BenchError
from harness.servers import started
from lib.ports import free_port  # harness.servers has made tests/ known

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
LOAD_SECONDS_MAX = 300
# Bytes of a full segment: the maximum that the client asks for, less TCP's time stamps.
SEGMENT_BYTES = 1460 - 12


@dataclass(frozen=True)
class Load:
    """One row of the table."""

    title: str
    work: str
    batch: int
    value_size: int
    batches: int
    threads: int = 1
    connections: int = 1


LOADS = (
    Load("binary, 50 quiet gets of 100 B and a no-op", "quiet", 50, 100, 4000),
    Load("the same, 16 connections", "quiet", 50, 100, 1000, connections=16),
    Load("binary, 50 quiet gets of 1 KB", "quiet", 50, 1000, 3000),
    Load("text, 16 gets of 100 B", "get", 16, 100, 6000),
    Load("text, 100 gets of 100 B", "get", 100, 100, 2000),
    Load("text, 16 gets of 4 KB", "get", 16, 4096, 2000),
    Load("text, 16 gets of 64 KB", "get", 16, 65536, 150),
    Load("text, one get of 1 MB", "get", 1, 1_000_000, 200),
    Load("text, one get of 50 keys of 1 KB", "multi", 50, 1000, 3000),
    Load("text, 100 sets of 100 B", "set", 100, 100, 2000),
    Load("-t 2: binary, 50 quiet gets of 1 KB", "quiet", 50, 1000, 3000, threads=2),
    Load("-t 2: text, 16 gets of 64 KB", "get", 16, 65536, 150, threads=2),
    Load("-t 2: text, 16 sets of 100 B", "set", 16, 100, 6000, threads=2),
)


def run(arguments: argparse.Namespace, prefix: list[str], load: Load) -> dict:
    """A fresh server under one load; the figures for 1,000 operations."""
    port = free_port()
    command = [*prefix, "-l", "127.0.0.1", "-p", str(port), "-t", str(load.threads), "-m", "128"]
    batches = max(2, load.batches // (100 if arguments.tiny else 1))
    with started("torc", command, port) as pid:
        done = subprocess.run(
            [arguments.segments, "--port", str(port), "--server-pid", str(pid),
             "--work", load.work, "--batch", str(load.batch),
             "--value-size", str(load.value_size), "--connections", str(load.connections),
             "--batches", str(batches), "--warm-up", str(batches // 10)],
            capture_output=True, text=True, check=False, timeout=LOAD_SECONDS_MAX)
    if done.returncode != 0:
        raise BenchError(done.stderr.strip())
    counted = json.loads(done.stdout)
    thousands = counted["operations"] / 1000
    figures = {name: counted[name] / thousands
               for name in ("enters", "submissions", "segments", "cpu_us")}
    # What there would be if every batch were cut into full segments and one that is not.
    batch_bytes = counted["reply_bytes"] // counted["batches"]
    figures["segments_least"] = -(-batch_bytes // SEGMENT_BYTES) * counted["batches"] / thousands
    figures["wait_us_max"] = counted["wait_us_max"]
    return figures


def measure(arguments: argparse.Namespace, ways: dict[str, list[str]], load: Load) -> dict:
    rounds: dict[str, list[dict]] = {way: [] for way in ways}
    for _ in range(arguments.rounds):
        for way, prefix in ways.items():
            rounds[way].append(run(arguments, prefix, load))
    return {way: {name: median(figures[name] for figures in of) for name in of[0]}
            for way, of in rounds.items()}


def show(load: Load, figures: dict[str, dict]) -> None:
    least = next(iter(figures.values()))["segments_least"]
    print(f"\n{load.title}; full segments alone: {least:,.0f}")
    print(f"  {'per 1,000 operations':22}{'system calls':>14}{'submissions':>14}{'segments':>12}"
          f"{'CPU us':>10}{'longest wait us':>18}")
    for way, f in figures.items():
        print(f"  {way:22}{f['enters']:14,.1f}{f['submissions']:14,.1f}{f['segments']:12,.1f}"
              f"{f['cpu_us']:10,.0f}{f['wait_us_max']:18,.0f}", flush=True)


def check(figures: dict[str, dict]) -> None:
    """What holds on any machine: each byte came, and no batch's end was left to a timer."""
    for way, f in figures.items():
        if f["segments"] < f["segments_least"] * 0.999:
            raise BenchError(f"{way}: fewer segments than the bytes need: miscounted")
        if f["submissions"] <= 0 or f["enters"] <= 0:
            raise BenchError(f"{way}: the server counts no system calls")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=["tiny"], help="only whether it works")
    parser.add_argument("--torc", metavar="COMMAND", default=str(ROOT / "bazel-bin/src/torc"))
    for way in ("none", "more", "cork"):
        parser.add_argument(f"--join-{way}", metavar="COMMAND",
                            help=f"torc built with --config=join-{way} (default, but in small:"
                                 f" .bazel/join-{way}-bin/src/torc, if it is there)")
    parser.add_argument("--segments", default=str(ROOT / "bazel-bin/bench/segments"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", metavar="TEXT", help="rows whose title has it")
    arguments = parser.parse_args()
    arguments.tiny = arguments.what == "tiny"
    if arguments.tiny:
        arguments.rounds = 1

    user = ["-u", "root"] if os.geteuid() == 0 else []
    ways = {}
    for title, way in (("none", "none"), ("MSG_MORE", "more"), ("TCP_CORK", "cork")):
        built = ROOT / f".bazel/join-{way}-bin/src/torc"
        command = getattr(arguments, f"join_{way}")
        if command is None and not arguments.tiny and built.exists():
            command = shlex.quote(str(built))
        if command is not None:
            ways[title] = [*shlex.split(command), *user]
    ways["torc"] = [*shlex.split(arguments.torc), *user]
    if not arguments.tiny:
        control = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
        print(f"kernel: {os.uname().release}, TCP over loopback ({control}), segments of "
              f"{SEGMENT_BYTES} bytes; medians of {arguments.rounds} rounds in turn")
    failed = 0
    loads = [load for load in LOADS if arguments.only in load.title]
    for load in loads:
        try:
            figures = measure(arguments, ways, load)
            show(load, figures)
            check(figures)
        except (BenchError, subprocess.SubprocessError, OSError) as error:
            failed += 1
            print(f"FAIL {load.title}: {error}", flush=True)
    print(f"\n{len(loads) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

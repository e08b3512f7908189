#!/usr/bin/python3
"""Runs torc, memcached and others in turn on the same work and prints their ratios.

Each server runs with one thread on one core, the load generator on another; the servers take turns
(A B C A B C), so that whatever else the machine does falls on all of them. Ratios are taken within
a round and never across rounds or machines. docs/benchmarks.md says how to read the figures.
"""

import argparse
import json
import os
import shlex
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from harness import report, revision
from harness.errors import BenchError
from harness.measure import Bench, LoadGenerator
from harness.process import SystemCalls
from harness.servers import ROOT, Server, choose_cores, find_servers, torc_server
from harness.session import Session
from harness.studies import STUDIES, TITLES
from harness.tiny import SECONDS as TINY_SECONDS
from harness.tiny import Tiny
from harness.workloads import ALL, ANCHORS, BASIC, BY_NAME, FACEBOOK, GROUPS, LARGE
from harness.workloads import PROTOCOL_ROWS, TWITTER, UNREALISTIC, Row

OUTPUT = ROOT / ".bazel" / "bench"


@dataclass(frozen=True)
class Plan:
    """What is run, and how long each run is."""

    rows: tuple[Row, ...]
    studies: tuple[str, ...] = ()
    rounds: int = 3
    seconds: float = 3.0
    warmup: float = 0.5
    scale: str = "full"
    floor: bool = True


_SPOKEN = tuple(PROTOCOL_ROWS.values())  # by the study of the protocols
PLANS = {
    # About 5 minutes.
    "quick": Plan((*(row for row in ANCHORS if row not in LARGE), BY_NAME["churn"],
                   BY_NAME["etc"]), ("tail", "memory"), seconds=1.0, warmup=0.3, scale="quick",
                  floor=False),
    # About an hour.
    "full": Plan((*LARGE, *UNREALISTIC, *FACEBOOK, *TWITTER), tuple(STUDIES)),
    "tiny": Plan((), rounds=1, seconds=TINY_SECONDS, warmup=0.02, scale="tiny"),
    "": Plan(BASIC),
}


def plan_of(names: list[str]) -> Plan:
    """The rows and studies that were named, for as long as the plan that was; without a name, what
    the plan has."""
    plan = PLANS[next((name for name in names if name in PLANS), "")]
    names = [name for name in names if name not in PLANS]
    if not names:
        return plan
    rows: list[Row] = []
    chosen: list[str] = []
    for name in names:
        if name in BY_NAME:
            rows.append(BY_NAME[name])
        elif name in GROUPS:
            rows += GROUPS[name]
        elif name in STUDIES:
            chosen.append(name)
        else:
            raise BenchError(f"there is no '{name}'; there are: "
                             f"{', '.join((*PLANS, *STUDIES, *GROUPS, *BY_NAME)).strip(' ,')}")
    return replace(plan, rows=tuple(dict.fromkeys(rows)), studies=tuple(chosen))


def run(arguments: argparse.Namespace, plan: Plan, bench: Bench, servers: list[Server]) -> bool:
    """Runs all of the plan, whatever fails on the way; whether nothing did."""
    session = Session(bench, servers, plan.scale, Path(arguments.json))
    session.begin(shlex.join(sys.argv))
    for row in plan.rows:
        session.attempt(row.name, lambda: session.run_row(row))
    for name in plan.studies:
        session.attempt(name, lambda: session.run_study(name))
    print(f"\nfigures: {arguments.json}")
    write_report(session.record, arguments.report, arguments.plots)
    return not session.record["failed"]


def write_report(record: dict, page: str, plots: str | None) -> None:
    if missing := report.missing():
        print(f"no report: {missing}", file=sys.stderr)
        return
    report.write(record, Path(page), Path(plots) if plots else None)
    print(f"report: {page}")


def tiny(arguments: argparse.Namespace, bench: Bench, servers: list[Server]) -> bool:
    session = Session(bench, servers, "tiny", None)

    def page(record: dict) -> None:
        if report.missing() is None:
            report.write(json.loads(json.dumps(record)), Path(os.devnull), None)

    return Tiny(bench).run(servers, session, page)


def compare_servers(arguments: argparse.Namespace) -> list[Server]:
    """torc as it is in the working tree, and as it was at another revision."""
    name, binary = revision.build(arguments.revision)
    here = arguments.torc or str(ROOT / "bazel-bin" / "src" / "torc")
    return [torc_server(here), torc_server(str(binary), f"torc {name}")]


def lists() -> str:
    lines = ["what there is:"]
    for title, rows in (("rows, by default", BASIC), ("rows, when named", ALL)):
        lines += [f"{title}:", *(f"  {row.name:20} {row.title}" for row in rows
                                 if rows is BASIC or row not in BASIC)]
    lines += ["studies:", *(f"  {name:20} {title}" for name, title in TITLES.items())]
    lines += ["groups of rows:", *(f"  {name:20} {', '.join(row.name for row in rows)}"
                                   for name, rows in GROUPS.items() if name != "rows")]
    return "\n".join(lines)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, epilog=lists())
    parser.add_argument("what", nargs="*",
                        metavar="quick|full|tiny|compare REV|report FILE...|NAME",
                        help="quick: about 5 minutes; full: about an hour; tiny: only whether "
                             "everything works; compare: this torc against the one of a git "
                             "revision, on the rows named behind it; report: the page of a "
                             "record again, or of several; or rows, groups and studies by name, "
                             "with 'quick' before them for shorter runs")
    parser.add_argument("--torc", metavar="COMMAND", help="default: bazel-bin/src/torc")
    parser.add_argument("--memcached", metavar="COMMAND",
                        help="what runs memcached; options are added behind it "
                             "(default: tests/env/memcached finds it)")
    parser.add_argument("--server", metavar="NAME=COMMAND", action="append", default=[],
                        help="another server; memcached's options are added, unless {port} stands "
                             "in it: then {memory}, {threads} and {connections} may as well")
    parser.add_argument("--servers", metavar="NAMES", help="only these, such as torc,memcached")
    parser.add_argument("--rounds", type=int, help="turns of each server (3)")
    parser.add_argument("--seconds", type=float, help="of each run, counted (3)")
    parser.add_argument("--warmup", type=float, help="seconds before (0.5)")
    parser.add_argument("--threads", type=int, default=1, help="of each server, with as many cores")
    parser.add_argument("--server-core", type=int, metavar="CORE")
    parser.add_argument("--load-core", type=int, metavar="CORE")
    parser.add_argument("--json", metavar="FILE", default=str(OUTPUT / "latest.json"),
                        help="the record of every run (.bazel/bench/latest.json)")
    parser.add_argument("--report", metavar="FILE", default=str(OUTPUT / "latest.html"),
                        help="the page with pictures (.bazel/bench/latest.html)")
    parser.add_argument("--plots", metavar="FOLDER", help="the pictures by themselves, as PNG")
    parser.add_argument("--load", default=str(ROOT / "bazel-bin" / "bench" / "load"))
    parser.add_argument("--floor", default=str(ROOT / "bazel-bin" / "bench" / "floor"))
    arguments = parser.parse_intermixed_args()
    arguments.revision, arguments.records = None, []
    if arguments.what[:1] in (["compare"], ["report"]):
        if len(arguments.what) < 2:
            parser.error(f"{arguments.what[0]} what?")
        if arguments.what[0] == "compare":
            arguments.revision, arguments.what = arguments.what[1], arguments.what[2:]
        else:
            arguments.records, arguments.what = arguments.what[1:], []
    for binary in (arguments.load, arguments.floor):
        if not arguments.records and not os.access(binary, os.X_OK):
            parser.error(f"there is no {binary}: build it with "
                         "`bazel build -c opt //bench:load //bench:floor`, or use ./dev bench")
    if (arguments.rounds is not None and arguments.rounds < 1) or (
            arguments.seconds is not None and arguments.seconds <= 0) or arguments.threads < 1:
        parser.error("--rounds, --seconds and --threads must be more than 0")
    return arguments


def main() -> int:
    arguments = parse_arguments()
    try:
        if arguments.records:
            records = [json.loads(Path(name).read_text()) for name in arguments.records]
            write_report(report.joined(records), arguments.report, arguments.plots)
            return 0
        plan = plan_of(arguments.what)
        if arguments.revision:
            servers = compare_servers(arguments)
        else:
            floor = arguments.floor if plan.floor else None
            servers = find_servers(arguments.torc, arguments.memcached, floor,
                                   tuple(arguments.server), arguments.servers)
        cores = choose_cores(arguments.server_core, arguments.load_core, arguments.threads)
        is_tiny = plan.scale == "tiny"
        bench = Bench(LoadGenerator(arguments.load, cores.load), cores,
                      arguments.seconds or plan.seconds,
                      plan.warmup if arguments.warmup is None else arguments.warmup,
                      arguments.rounds or plan.rounds, arguments.threads, SystemCalls(), is_tiny)
        if is_tiny:
            return 0 if tiny(arguments, bench, servers) else 1
        return 0 if run(arguments, plan, bench, servers) else 1
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Runs torc and memcached side by side on what a storage engine does over time: growth, shifting
sizes, large values, expiry. Each experiment prints a table; the figures mean something on a quiet
machine only. docs/benchmarks-engine.md says what each one shows.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from experiments import expiry, growth, hotkey, large, large_table, shards, shift, turns
from experiments.lab import Lab, cores
from harness.errors import BenchError
from harness.servers import Server, choose_cores, find_servers, siblings_of

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent

EXPERIMENTS = {"growth": growth, "shift": shift, "large": large, "expiry": expiry,
               "hotkey": hotkey, "table": large_table, "shards": shards, "turns": turns}
TOOLS = ("load", "fill", "probe", "lookaside", "turns")


def parameters(experiment, settings: list[str], tiny: bool) -> dict:
    """The experiment's parameters, with those that the command line has for it."""
    p = {**experiment.DEFAULTS, **(experiment.TINY if tiny else {})}
    for setting in settings:
        name, _, value = setting.partition("=")
        if name in p:
            p[name] = type(p[name])(value)
    return p


def check_settings(names: list[str], settings: list[str]) -> None:
    known = set().union(*(EXPERIMENTS[name].DEFAULTS for name in names))
    for setting in settings:
        name, equals, _ = setting.partition("=")
        if not equals or name not in known:
            raise BenchError(f"--with {setting}: there are {', '.join(sorted(known))}")


def servers_for(name: str, servers: list[Server], arguments: argparse.Namespace) -> list[Server]:
    experiment = EXPERIMENTS[name]
    more = getattr(experiment, "more_servers", lambda *_: [])
    only = getattr(experiment, "ONLY", None)
    return [server for server in [*servers, *more(servers, arguments.no_prefetch)]
            if only in (None, server.name)]


def measure(lab: Lab, names: list[str], servers: list[Server],
            arguments: argparse.Namespace) -> None:
    print_header(lab, servers)
    everything = {}
    for name in names:
        experiment = EXPERIMENTS[name]
        p = parameters(experiment, arguments.settings, tiny=False)
        print(f"\n{experiment.TITLE}  [{name}]")
        print(f"  {', '.join(f'{key}={value}' for key, value in p.items())}", flush=True)
        results = {}
        for server in servers_for(name, servers, arguments):
            begin = time.monotonic()
            results[server.name] = experiment.run(lab, server, p)
            print(f"... {name}: {server.name}, {time.monotonic() - begin:.0f} s", file=sys.stderr)
        experiment.show(results, p)
        everything[name] = {"parameters": p, "results": results}
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(everything, indent=1))


def print_header(lab: Lab, servers: list[Server]) -> None:
    cpu = next((line.split(":", 1)[1].strip() for line in
                Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")),
               os.uname().machine)
    print(f"machine: {cpu}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.2f}")
    print(f"kernel: {os.uname().release}, TCP over loopback")
    print(f"servers on core {lab.server_core}, load on {lab.load_core}, probe on {lab.probe_core}")
    for server in servers:
        version = subprocess.run([*server.prefix, "-V"], capture_output=True, text=True, timeout=30)
        print(f"{server.name}: {version.stdout.strip()} ({shlex.join(server.prefix)})")


def test(lab: Lab, names: list[str], servers: list[Server],
         arguments: argparse.Namespace) -> bool:
    """Each experiment in small, with each server: a test, not a measurement."""
    passed = failed = 0
    for name in names:
        experiment = EXPERIMENTS[name]
        p = parameters(experiment, [], tiny=True)
        for server in servers_for(name, servers, arguments):
            try:
                result = experiment.run(lab, server, p)
                experiment.show({server.name: result}, p)
                experiment.check(server.name, result)
            except (BenchError, subprocess.SubprocessError, OSError) as error:
                failed += 1
                print(f"FAIL {server.name}, {name}: {error}", flush=True)
            else:
                passed += 1
                print(f"ok   {server.name}, {name}", flush=True)
    print(f"\n{passed} passed, {failed} failed")
    return failed == 0


def parse_arguments() -> argparse.Namespace:
    lines = "\n".join(f"  {module.TITLE}\n{'':10}{module.NEEDS}\n{'':10}" +
                      ", ".join(f"{key}={value}" for key, value in module.DEFAULTS.items())
                      for module in EXPERIMENTS.values())
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"experiments, what they want, and their parameters:\n{lines}")
    parser.add_argument("what", nargs="*", metavar="tiny|NAME",
                        help="experiments, default all; tiny: only whether they work")
    parser.add_argument("--with", dest="settings", action="append", default=[],
                        metavar="NAME=VALUE", help="a parameter of the experiments named")
    parser.add_argument("--torc", metavar="COMMAND", help="default: bazel-bin/src/torc")
    parser.add_argument("--memcached", metavar="COMMAND",
                        help="what runs memcached (default: tests/env/memcached finds it)")
    parser.add_argument("--no-prefetch", metavar="COMMAND", help="torc built without prefetching",
                        default=str(ROOT / ".bazel" / "no-prefetch-bin" / "src" / "torc"))
    parser.add_argument("--servers", metavar="NAMES", help="only these, such as torc")
    parser.add_argument("--server-core", type=int, metavar="CORE")
    parser.add_argument("--load-core", type=int, metavar="CORE")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--tools", metavar="FOLDER", default=str(ROOT / "bazel-bin" / "bench"),
                        help="where load, fill, probe and lookaside are")
    arguments = parser.parse_intermixed_args()
    arguments.tiny = "tiny" in arguments.what
    arguments.names = [name for name in arguments.what if name != "tiny"] or list(EXPERIMENTS)
    if unknown := set(arguments.names) - set(EXPERIMENTS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are "
                     f"{', '.join(EXPERIMENTS)}")
    for name in TOOLS:
        if not os.access(Path(arguments.tools) / name, os.X_OK):
            parser.error(f"there is no {arguments.tools}/{name}: use ./dev bench engine")
    return arguments


def make_lab(arguments: argparse.Namespace) -> Lab:
    chosen = choose_cores(arguments.server_core, arguments.load_core)
    server_core, load_core = int(chosen.server), chosen.load
    # A core of its own for the probe, where there is one.
    others = [core for core in cores() if core not in (server_core, load_core)
              and core not in siblings_of(server_core)]
    return Lab(Path(arguments.tools), server_core, load_core, others[0] if others else load_core)


def main() -> int:
    arguments = parse_arguments()
    try:
        check_settings(arguments.names, arguments.settings)
        servers = find_servers(arguments.torc, arguments.memcached, only=arguments.servers)
        lab = make_lab(arguments)
        if arguments.tiny:
            return 0 if test(lab, arguments.names, servers, arguments) else 1
        measure(lab, arguments.names, servers, arguments)
        return 0
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

"""One run of one kind of work on one server: what it takes, and the figures it gives."""

import json
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass, field

from .errors import BenchError
from .process import SystemCalls
from .servers import Cores, Running, Server, allow_descriptors, serving, warn_if_elsewhere
from .workloads import FILL_CONNECTIONS, Row

# A run that takes so much longer than it was asked to has hung.
LOAD_SECONDS_SPARE = 900
# How long the run that counts system calls goes on, and the one that checks bytes.
COUNTED_SECONDS = 0.5
VERIFIED_SECONDS = 0.1
RUNS_MAX = 4
LONGER = 5  # times as long, where the server did not get to work
# More connections than these cost more calls to accept and close than are made in a short run.
COUNTED_CONNECTIONS_MAX = 1000
# A server has closed the connections of a run that is over when it has no more than these, in which
# those are that it counts for itself.
CONNECTIONS_SETTLED = 20
SETTLE_SECONDS_MAX = 10
Figures = dict
REAL_TIME = ("chrt", "--fifo", "1")


def may_come_first() -> bool:
    """Whether this user may have a process before others on its core: mostly root alone."""
    try:
        done = subprocess.run([*REAL_TIME, "true"], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


@dataclass(frozen=True)
class LoadGenerator:
    """The load generator on its core."""

    binary: str
    core: int
    # Before all else on its core, by the scheduler's real-time class: see may_come_first.
    comes_first: bool = False

    def command(self, options: list[str]) -> list[str]:
        first = REAL_TIME if self.comes_first else ()
        return [*first, "taskset", "-c", str(self.core), self.binary, *options]

    def start(self, options: list[str]) -> subprocess.Popen:
        return subprocess.Popen(self.command(options), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def run(self, options: list[str]) -> Figures:
        """Runs it; returns its figures, empty where it was only to fill."""
        return finish(self.start(options))


def finish(process: subprocess.Popen) -> Figures:
    """Waits for a load generator that was started; its figures."""
    try:
        out, said = process.communicate(timeout=LOAD_SECONDS_SPARE)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if process.returncode != 0:
        raise BenchError(f"{shlex.join(process.args)}\n"
                         f"{said.strip() or f'status {process.returncode}'}")
    return as_recorded(json.loads(out)) if out.strip() else {}


def as_recorded(figures: Figures) -> Figures:
    """The load generator's figures as a record keeps them: flat, without its options, which the
    command line has, and with no more of the distribution than a picture can show."""
    latency = figures.pop("latency", {})
    figures.pop("config", None)
    for name in ("p90", "p9999"):
        figures[f"latency_us_{name}"] = latency.get(f"{name}_us")
    figures["latency_us_distribution"] = thinned(latency.get("distribution", []))
    return figures


def thinned(distribution: list[list[float]]) -> list[list[float]]:
    """Of points [microseconds, requests up to there] those where the share of slower requests has
    shrunk by a tenth since the last one kept: the tail keeps all its detail."""
    kept: list[list[float]] = []
    total = distribution[-1][1] if distribution else 0
    for us, count in distribution:
        slower = total - count
        if not kept or slower <= 0.9 * (total - kept[-1][1]) or count == total:
            kept.append([us, count])
    return kept


@dataclass(frozen=True)
class Sample:
    """One server's figures in one round of one row.

    `figures` are the load generator's, and besides (None where it is not known):
      items                           held after the run
      system_calls                    a key, from a run of its own
      bytes_received, bytes_sent      a key, as the server counts them
    """

    row: Row
    server: str
    figures: Figures
    commands: dict[str, str] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Thousands of keys (or requests, where that is the same) in a second."""
        return self.figures["keys_per_second"] / 1e3

    @property
    def cpu_us(self) -> float:
        """The server's processor time for one key."""
        return self.figures["server_cpu_us"] / self.row.keys_per_request

    def __getitem__(self, name: str) -> float:
        return self.figures[name]

    def get(self, name: str) -> float | None:
        return self.figures.get(name)


@dataclass
class Bench:
    """The load generator, the cores, and for how long things run."""

    load: LoadGenerator
    cores: Cores
    seconds: float
    warmup: float
    rounds: int
    threads: int = 1
    system_calls: SystemCalls | None = None  # none: they are not counted
    tiny: bool = False

    def serve(self, server: Server, row: Row):
        return serving(server, self.cores.server, row.memory_mb, self.threads,
                       max(1024, row.connections + 100), row.server_options)

    def measure(self, server: Server, row: Row, seed: int, count: bool = False) -> Sample:
        """Starts the server, fills it, checks some answers byte for byte, measures; with `count`,
        then counts its system calls."""
        if not allow_descriptors(row.connections + 100):
            raise BenchError(f"{row.name}: {row.connections} connections are more than this "
                             "machine lets a process have: raise the hard limit (ulimit -Hn)")
        with self.serve(server, row) as running:
            warn_if_elsewhere(running, self.cores.server)
            self.prepare(running, row)
            options = [*row.options(running.port), "--seed", str(seed)]
            settle(running)
            before = counters(running)
            measured, figures = self.measured(running, options)
            check(server, row, figures)
            after = counters(running)
            figures |= per_operation(before, after)
            figures["items"] = after.get("items")
            if count and self.system_calls and row.connections <= COUNTED_CONNECTIONS_MAX:
                figures["system_calls"] = self.count_system_calls(running, options)
                figures["system_calls_by"] = self.system_calls.method
            commands = {"server": shlex.join(running.command),
                        "load": shlex.join(self.load.command(measured))}
        return Sample(row, server.name, figures, commands)

    def measured(self, running: Running, options: list[str]) -> tuple[list[str], Figures]:
        """Runs the load; the options it had in the end, and its figures. A time so short that the
        server did not get to work in it (other work had its core) is taken again, longer."""
        seconds = self.seconds
        for _ in range(RUNS_MAX):
            measured = self.timed(running, options, seconds)
            figures = self.load.run(measured)
            if got_to_work(figures):
                return measured, figures
            seconds *= LONGER
        raise BenchError(f"{running.name}: no request was answered in {seconds / LONGER:g} s")

    def timed(self, running: Running, options: list[str], seconds: float) -> list[str]:
        return [*options, "--pid", str(running.pid), "--warmup", str(self.warmup), "--seconds",
                str(seconds)]

    def prepare(self, running: Running, row: Row) -> None:
        """Stores every key, and checks some answers."""
        if not running.server.stores:
            return
        self.load.run([*row.fill_options(running.port), "--connections", str(FILL_CONNECTIONS),
                       "--fill", "--seconds", "0"])
        self.load.run([*row.options(running.port), "--verify", "--warmup", "0", "--seconds",
                       str(VERIFIED_SECONDS)])

    def count_system_calls(self, running: Running, options: list[str]) -> float | None:
        """System calls a key."""
        settle(running)
        with self.system_calls.counting(running.pid) as counted:
            figures = self.load.run([*options, "--warmup", "0", "--seconds",
                                     str(min(self.seconds, COUNTED_SECONDS))])
        if counted["calls"] is None or figures["keys"] == 0:
            return None
        return counted["calls"] / figures["keys"]


def got_to_work(figures: Figures) -> bool:
    return figures["requests"] > 0 and figures["server_cpu_us"] > 0


def check(server: Server, row: Row, figures: Figures) -> None:
    if not row.misses and figures["hits"] != figures["gets"]:
        raise BenchError(f"{server.name}: {figures['gets'] - figures['hits']} of "
                         f"{figures['gets']} gets found nothing")


def settle(running: Running) -> None:
    """Waits until the server has closed the connections of the run before: where there are
    thousands, the next run's are more than it may have otherwise."""
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    while running.server.stores and time.monotonic() < deadline:
        try:
            if running.count("curr_connections") <= CONNECTIONS_SETTLED:
                return
        except (BenchError, ValueError, OSError):
            pass  # it has no room for one that asks
        time.sleep(0.05)


def counters(running: Running) -> dict[str, int]:
    """Of the server's own counters those that are wanted; none where it has no statistics."""
    if not running.server.stores:
        return {}
    try:
        stats = running.stats()
        return {"operations": int(stats["cmd_get"]) + int(stats["cmd_set"]),
                "received": int(stats["bytes_read"]), "sent": int(stats["bytes_written"]),
                "items": int(stats["curr_items"])}
    except (BenchError, KeyError, ValueError, OSError):
        return {}


def per_operation(before: dict[str, int], after: dict[str, int]) -> Figures:
    if not before or not after or after["operations"] == before["operations"]:
        return {"bytes_received": None, "bytes_sent": None}
    operations = after["operations"] - before["operations"]
    return {f"bytes_{way}": (after[way] - before[way]) / operations for way in ("received", "sent")}


def progress(text: str) -> None:
    print(f"... {text}", file=sys.stderr, flush=True)



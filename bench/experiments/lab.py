"""Servers, load and a probing client, for the experiments."""

import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import bench
from bench import BenchError, Server
from lib.ports import free_port

# A step of an experiment that takes longer than this has hung.
STEP_SECONDS_MAX = 1800


class Client:
    """One blocking connection, for questions and for values of any size."""

    def __init__(self, port: int):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = self.socket.makefile("rb")

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.reader.close()
        self.socket.close()

    def line(self) -> str:
        line = self.reader.readline()
        if not line.endswith(b"\r\n"):
            raise BenchError(f"the server closed a connection behind {line!r}")
        return line[:-2].decode("latin-1")

    def ask(self, command: str) -> str:
        """A command with an answer of one line."""
        self.socket.sendall(command.encode() + b"\r\n")
        return self.line()

    def set(self, key: str, value: bytes, exptime: int = 0) -> str:
        head = f"set {key} 0 {exptime} {len(value)}\r\n".encode()
        self.socket.sendall(head)
        self.socket.sendall(value)
        self.socket.sendall(b"\r\n")
        return self.line()

    def get(self, key: str) -> bytes | None:
        first = self.ask(f"get {key}")
        if first == "END":
            return None
        if not first.startswith(f"VALUE {key} "):
            raise BenchError(f"unexpected reply: {first!r}")
        size = int(first.rsplit(" ", 1)[1])
        value = self.reader.read(size + 2)
        if len(value) != size + 2 or self.line() != "END":
            raise BenchError("a value without an end")
        return value[:-2]

    def stats(self, what: str = "") -> dict[str, str]:
        self.socket.sendall(f"stats {what}".rstrip().encode() + b"\r\n")
        values = {}
        while (line := self.line()) not in ("END", "RESET"):
            name, value = (line.split(" ", 2)[1:] + [""])[:2]
            values[name] = value
        return values


class Running:
    """A server that runs, and what can be asked of it."""

    def __init__(self, name: str, pid: int, port: int):
        self.name = name
        self.pid = pid
        self.port = port

    def stats(self, what: str = "") -> dict[str, str]:
        with Client(self.port) as client:
            return client.stats(what)

    def count(self, name: str) -> int:
        return int(self.stats().get(name, 0))

    def failed_stores(self) -> int:
        """Stores that were refused although they were of a size that may be."""
        if self.name == "torc":
            return self.count("store_no_memory")
        return sum(int(value) for key, value in self.stats("items").items()
                   if key.endswith(":outofmemory"))

    def resident_mb(self) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    def cpu_seconds(self) -> float:
        """Processor time so far, of all threads, by the scheduler's clock."""
        return sum(int(read(thread).split()[0]) for thread in self._threads()) / 1e9

    def delayed_seconds(self) -> float:
        """For how long the thread that waited most was ready and another task had its core."""
        return max(int(read(thread).split()[1]) for thread in self._threads()) / 1e9

    def _threads(self) -> list[Path]:
        return list(Path(f"/proc/{self.pid}/task").glob("*/schedstat"))


def read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return "0 0 0"  # the thread has ended


class Lab:
    """Where the programs are, and on which cores they run."""

    def __init__(self, tools: Path, server_core: int, load_core: int, probe_core: int):
        self.tools = tools
        self.server_core = server_core
        self.load_core = load_core
        self.probe_core = probe_core

    @contextmanager
    def serve(self, server: Server, memory_mb: int, *options: str, threads: int = 1,
              pinned: bool = True) -> Iterator[Running]:
        """Starts a server, on its core if it has one thread; ends it, and fails if it had ended."""
        port = free_port()
        command = [*server.prefix, "-l", "127.0.0.1", "-p", str(port), "-t", str(threads),
                   "-m", str(memory_mb), "-c", "1024", *options]
        if pinned:
            command = ["taskset", "-c", str(self.server_core), *command]
        with bench.started(server.name, command, port) as pid:
            yield Running(server.name, pid, port)

    def tool(self, name: str, core: int, port: int, options: dict) -> list[str]:
        flags = [text for key, value in options.items()
                 for text in ("--" + key.replace("_", "-"), str(value))]
        return ["taskset", "-c", str(core), str(self.tools / name), "--port", str(port), *flags]

    def load(self, name: str, port: int, **options: object) -> dict:
        """Runs one of the bench's programs to its end; its figures."""
        command = self.tool(name, self.load_core, port, options)
        done = subprocess.run(command, capture_output=True, text=True, check=False,
                              timeout=STEP_SECONDS_MAX)
        if done.returncode != 0:
            raise BenchError(f"{' '.join(command)}\n{done.stderr.strip()}")
        return json.loads(done.stdout)

    @contextmanager
    def probing(self, port: int, **options: object) -> Iterator[dict]:
        """A probing client beside whatever is in the block; its figures are there afterwards."""
        figures: dict = {}
        with tempfile.TemporaryFile("w+") as said:
            probe = subprocess.Popen(self.tool("probe", self.probe_core, port, options),
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said,
                                     text=True)
            try:
                yield figures
                out, _ = probe.communicate(timeout=60)  # the end of its input ends it
                if probe.returncode != 0:
                    said.seek(0)
                    raise BenchError(f"probe: {said.read().strip()}")
                figures.update(json.loads(out))
            finally:
                if probe.poll() is None:
                    probe.kill()
                    probe.wait()


def wait_until(condition, seconds: float, every: float = 0.1) -> float | None:
    """Seconds until the condition held; nothing if it did not in time."""
    begin = time.monotonic()
    while True:
        passed = time.monotonic() - begin
        if condition():
            return passed
        if passed > seconds:
            return None
        time.sleep(every)


def pseudo_random_bytes(size: int, seed: int) -> bytes:
    """Bytes that tell one value from another: a block repeated, with the seed's bytes in it."""
    block = random.Random(seed).randbytes(4096)
    return (block * (size // len(block) + 1))[:size]


# ---- Printing


def table(head: list[str], rows: list[list[object]]) -> None:
    cells = [head] + [[form(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    for row in cells:
        line = "  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                         for i, (cell, width) in enumerate(zip(row, widths)))
        print("  " + line.rstrip())
    sys.stdout.flush()


def form(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.1f}" if abs(
            value) >= 10 else f"{value:.3f}"
    return str(value)


PROBE_HEAD = ["p50 us", "p99 us", "p99.9 us", "max us"]


def probe_cells(figures: dict) -> list[object]:
    return [figures[key] for key in ("us_p50", "us_p99", "us_p999", "us_max")]


def expect(condition: bool, what: str) -> None:
    if not condition:
        raise BenchError(what)


def cores() -> list[int]:
    return sorted(os.sched_getaffinity(0))

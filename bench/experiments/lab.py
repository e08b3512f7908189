"""Servers, load and a probing client, for the experiments."""

import json
import os
import random
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

# What the experiments use of the harness, they take from here.
from harness.client import Client  # noqa: F401
from harness.errors import BenchError
from harness.servers import Running, Server, serving
from harness.text import form, table  # noqa: F401

# A step of an experiment that takes longer than this has hung.
STEP_SECONDS_MAX = 1800


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
        cores = str(self.server_core) if pinned else ""
        with serving(server, cores, memory_mb, threads, options=options) as running:
            yield running

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

PROBE_HEAD = ["p50 us", "p99 us", "p99.9 us", "max us"]


def probe_cells(figures: dict) -> list[object]:
    return [figures[key] for key in ("us_p50", "us_p99", "us_p999", "us_max")]


def expect(condition: bool, what: str) -> None:
    if not condition:
        raise BenchError(what)


def cores() -> list[int]:
    return sorted(os.sched_getaffinity(0))

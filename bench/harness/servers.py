"""Servers under test: how they are started, pinned to their cores, asked and ended."""

import os
import re
import resource
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests"))
from lib.ports import free_port  # noqa: E402

from . import process  # noqa: E402
from .client import Client  # noqa: E402
from .errors import BenchError  # noqa: E402

MEMCACHED_VERSION_WANTED = (1, 6, 45)
SERVER_START_SECONDS_MAX = 10
# Descriptors that a server needs besides one for each connection.
DESCRIPTORS_SPARE = 200


@dataclass(frozen=True)
class Server:
    """A server under test: how to start it.

    Options as memcached has them are put behind `prefix`, unless it says itself where its port
    goes: then {port}, {memory} (in MB), {threads} and {connections} in it are replaced, and nothing
    is added.
    """

    name: str
    prefix: tuple[str, ...]
    stores: bool = True  # the floor stores nothing

    def command(self, port: int, memory_mb: int, threads: int = 1, connections: int = 1024,
                options: tuple[str, ...] = ()) -> list[str]:
        if any("{port}" in word for word in self.prefix):
            values = {"port": port, "memory": memory_mb, "threads": threads,
                      "connections": connections}
            return [re.sub(r"\{(\w+)\}", lambda name: str(values.get(name[1], name[0])), word)
                    for word in self.prefix]
        if not self.stores:
            return [*self.prefix, "-p", str(port)]
        return [*self.prefix, "-l", "127.0.0.1", "-p", str(port), "-t", str(threads),
                "-m", str(memory_mb), "-c", str(connections), *options]

    @property
    def is_torc(self) -> bool:
        """Two builds of torc may be compared under names of their own."""
        return self.name == "torc" or self.name.startswith("torc ")


class Running:
    """A server that runs, and what can be asked of it."""

    def __init__(self, server: Server, pid: int, port: int, command: list[str]):
        self.server = server
        self.name = server.name
        self.pid = pid
        self.port = port
        self.command = command

    def stats(self, what: str = "") -> dict[str, str]:
        with Client(self.port) as client:
            return client.stats(what)

    def count(self, name: str) -> int:
        return int(self.stats().get(name, 0))

    def failed_stores(self) -> int:
        """Stores that were refused although they were of a size that may be."""
        if self.server.is_torc:
            return self.count("store_no_memory")
        return sum(int(value) for key, value in self.stats("items").items()
                   if key.endswith(":outofmemory"))

    def resident_mb(self) -> float:
        return process.resident_bytes(self.pid) / 2**20

    def cpu_seconds(self) -> float:
        return process.cpu_seconds(self.pid)

    def delayed_seconds(self) -> float:
        return process.delayed_seconds(self.pid)


def ask_version(port: int) -> str | None:
    """The server's answer to `version`; nothing while it does not answer."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"version\r\n")
            return connection.recv(200).decode(errors="replace").strip() or None
    except OSError:
        return None


@contextmanager
def started(name: str, command: list[str], port: int) -> Iterator[int]:
    """Starts a server and waits until it answers at the port; yields its process id; ends it."""
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + SERVER_START_SECONDS_MAX
            while ask_version(port) is None:
                if server.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    said = log.read(2000).decode(errors="replace").strip()
                    raise BenchError(f"{name} did not start: {shlex.join(command)}\n{said}")
                time.sleep(0.02)
            yield server.pid
            if server.poll() is not None:
                log.seek(0)
                said = log.read(2000).decode(errors="replace").strip()
                raise BenchError(f"{name} ended by itself, status {server.returncode}\n{said}")
        finally:
            if server.poll() is None:
                server.send_signal(signal.SIGTERM)
                try:
                    server.wait(timeout=10)
                except subprocess.TimeoutExpired:
                    server.kill()
                    server.wait()


@contextmanager
def serving(server: Server, cores: str, memory_mb: int, threads: int = 1, connections: int = 1024,
            options: tuple[str, ...] = ()) -> Iterator[Running]:
    """Starts a server on its cores (a list as taskset has it; none: on any) and ends it."""
    port = free_port()
    command = server.command(port, memory_mb, threads, connections, options)
    if cores:
        command = ["taskset", "-c", cores, *command]
    with started(server.name, command, port) as pid:
        yield Running(server, pid, port, command)


def allow_descriptors(count: int) -> bool:
    """Whether processes started from here may have so many; raises the limit if it has to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + DESCRIPTORS_SPARE
    if soft != resource.RLIM_INFINITY and soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            return False
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return True


# ---- Cores


@dataclass(frozen=True)
class Cores:
    """Who runs where."""

    server: str  # as taskset has it
    load: int

    @property
    def used(self) -> list[int]:
        return sorted({self.load, *map(int, self.server.split(","))})


def choose_cores(server_core: int | None, load_core: int | None, threads: int = 1) -> Cores:
    """A core for each of the server's threads and another one, no sibling, for the load."""
    allowed = sorted(os.sched_getaffinity(0))
    if server_core is not None:
        allowed = [server_core, *(core for core in allowed if core != server_core)]
    servers = allowed[:threads]
    listed = ",".join(map(str, servers))
    if load_core is not None:
        return Cores(listed, load_core)
    others = [core for core in allowed if core not in servers]
    siblings = set().union(*(siblings_of(core) for core in servers))
    for core in others:
        if core not in siblings:
            return Cores(listed, core)
    if others:
        print("note: server and load share a physical core", file=sys.stderr)
        return Cores(listed, others[0])
    print("note: no core for the load alone: compare CPU, throughput means little",
          file=sys.stderr)
    return Cores(listed, servers[-1])


def siblings_of(core: int) -> set[int]:
    """The logical cores that share a physical one with `core`."""
    path = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
    siblings: set[int] = set()
    try:
        for part in path.read_text().strip().split(","):
            first, _, last = part.partition("-")
            siblings.update(range(int(first), int(last or first) + 1))
    except (OSError, ValueError):
        pass
    return siblings


def warn_if_elsewhere(running: Running, cores: str) -> None:
    """A server that moves its threads off their cores would be measured beside the load's."""
    wanted = set(cores.split(","))
    for status in Path(f"/proc/{running.pid}/task").glob("*/status"):
        try:
            lines = status.read_text().splitlines()
        except OSError:
            continue  # the thread has ended
        allowed = next(line.split()[1] for line in lines if line.startswith("Cpus_allowed_list"))
        if not _cores_of(allowed) <= wanted:
            print(f"note: {running.name} has a thread on core {allowed}, not on {cores}",
                  file=sys.stderr)
            return


def _cores_of(listed: str) -> set[str]:
    cores: set[str] = set()
    for part in listed.split(","):
        first, _, last = part.partition("-")
        cores.update(map(str, range(int(first), int(last or first) + 1)))
    return cores


# ---- Which servers, and what they are


def version_of(server: Server, running: Running) -> str:
    """What the server says that it is; memcached's is checked to be one worth a comparison."""
    if server.is_torc:  # answers `version` with the memcached that it stands for
        printed = subprocess.run([*server.prefix, "-V"], capture_output=True, text=True,
                                 timeout=30, check=False)
        return printed.stdout.strip().removeprefix("torc ")
    version = (ask_version(running.port) or "?").removeprefix("VERSION ")
    if server.name == "memcached":
        _note_old_memcached(version)
    return version


def _note_old_memcached(version: str) -> None:
    try:
        parts = tuple(int(part) for part in version.split("."))
    except ValueError:
        return
    if parts < MEMCACHED_VERSION_WANTED:
        wanted = ".".join(map(str, MEMCACHED_VERSION_WANTED))
        print(f"note: memcached {version} is older than {wanted}, and up to 8 times slower on "
              "pipelined gets: ratios to it mean nothing", file=sys.stderr)


def user_name() -> str:
    return "root" if os.geteuid() == 0 else os.environ.get("USER", "nobody")


def find_memcached() -> tuple[str, ...]:
    """The command of the memcached to compare with, when none was named."""
    script = ROOT / "tests" / "env" / "memcached"
    if script.exists():
        done = subprocess.run([script], stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode == 0:
            return tuple(shlex.split(done.stdout))
    print("note: no current memcached found, /usr/bin/memcached it is", file=sys.stderr)
    return ("/usr/bin/memcached", "-u", user_name())


def torc_server(command: str, name: str = "torc") -> Server:
    # Like memcached, torc wants to be told as whom to run when root starts it.
    return Server(name, (*shlex.split(command), "-u", user_name()))


def find_servers(torc: str | None, memcached: str | None, floor: str | None = None,
                 further: tuple[str, ...] = (), only: str | None = None) -> list[Server]:
    """torc, memcached, the floor, and further ones given as NAME=COMMAND; `only` some by name."""
    found = []
    binary = torc or str(ROOT / "bazel-bin" / "src" / "torc")
    if torc or os.access(binary, os.X_OK):
        found.append(torc_server(binary))
    else:
        print(f"note: there is no {binary}: running without torc", file=sys.stderr)
    found.append(Server("memcached", tuple(shlex.split(memcached)) if memcached
                        else find_memcached()))
    for definition in further:
        name, equals, command = definition.partition("=")
        if not equals or not command:
            raise BenchError(f"--server {definition}: wanted NAME=COMMAND")
        found.append(Server(name, tuple(shlex.split(command))))
    if floor:
        found.append(Server("floor", (floor,), stores=False))
    if only is None:
        return found
    wanted = only.split(",")
    if unknown := set(wanted) - {server.name for server in found}:
        raise BenchError(f"--servers: there is no {', '.join(sorted(unknown))}")
    return [server for server in found if server.name in wanted]

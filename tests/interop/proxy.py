"""twemproxy (nutcracker) in front of three servers, keys spread by ketama.

One server is killed while clients go on, and started again. Its keys move to the other two and,
once it is back, return to it; the keys of the other two stay where they are all the time.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import isolation
import python_clients
import servers
from case import Case
from lib.client import Client
from lib.ports import free_port
from lib.server import Program, Server
from python_clients import content, equal, expect

SERVER_COUNT = 3
KEY_COUNT = 600
# The proxy tries a server that it has given up again after this long.
RETRY_MS = 200
PATIENCE_S = 30

# Debian has it where not everyone's PATH leads to.
_NUTCRACKER = shutil.which("nutcracker") or "/usr/sbin/nutcracker"
_CONFIGURATION = """\
torc:
  listen: 127.0.0.1:{port}
  hash: fnv1a_64
  distribution: ketama
  auto_eject_hosts: true
  server_failure_limit: 1
  server_retry_timeout: {retry_ms}
  timeout: {timeout_ms}
  servers:
{servers}
"""


@contextmanager
def _proxy(ports: list[int]) -> Iterator[int]:
    """The port of a proxy in front of the servers at `ports`."""
    with tempfile.TemporaryDirectory(prefix="torc-proxy-") as folder, ExitStack() as ending:
        port = free_port()
        # Names instead of ports on the ring, so that keys go to the same servers in every run.
        lines = [f"    - 127.0.0.1:{p}:1 server{i}" for i, p in enumerate(ports)]
        configuration = Path(folder, "nutcracker.yml")
        configuration.write_text(_CONFIGURATION.format(
            port=port, retry_ms=RETRY_MS, timeout_ms=PATIENCE_S * 1000, servers="\n".join(lines)))
        with open(Path(folder, "output"), "wb") as output:
            process = subprocess.Popen(
                [_NUTCRACKER, "-c", configuration, "-o", Path(folder, "log"),
                 "-p", Path(folder, "pid"), "-a", "127.0.0.1", "-s", str(free_port())],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                preexec_fn=isolation.die_with_parent)
        ending.callback(process.wait)
        ending.callback(process.kill)
        servers.wait_for_answer(process, port, b"get nothing\r\n")
        yield port


class _Ring:
    """Three servers behind a proxy, and who of them has which keys."""

    def __init__(self, program: Program, args: tuple[str, ...], ending: ExitStack) -> None:
        self._program = program
        self._args = args
        self._ending = ending
        self.servers = [self._start(free_port()) for _ in range(SERVER_COUNT)]
        self.port = ending.enter_context(_proxy([server.port for server in self.servers]))
        self.client = ending.enter_context(Client(("127.0.0.1", self.port), PATIENCE_S))

    def _start(self, port: int) -> Server:
        server = servers.at_port(self._program, port, *self._args)
        self._ending.callback(server.stop)
        return server

    def kill(self, number: int) -> None:
        equal(self.servers[number].stop(by=signal.SIGKILL), -signal.SIGKILL)

    def restart(self, number: int) -> None:
        self.servers[number] = self._start(self.servers[number].port)

    def stop_all(self) -> None:
        for server in self.servers:
            server.process.terminate()  # all at once: memcached takes its time
        for server in self.servers:
            equal(server.stop(), 0)

    # -- through the proxy --

    def set(self, key: str, value: bytes) -> bytes:
        return self.client.ask(b"set %s 7 0 %d\r\n%s\r\n" % (key.encode(), len(value), value))

    def get(self, key: str) -> bytes | None:
        """The value; None for a miss; the error's line when the proxy has no server for it."""
        line = self.client.ask(b"get %s\r\n" % key.encode())
        if not line.startswith(b"VALUE"):
            return None if line == b"END\r\n" else line
        name, flags, size = line.split()[1:]
        equal((name, flags), (key.encode(), b"7"))
        value = self.client.read(int(size) + 2)[:-2]
        equal(self.client.read_line(), b"END\r\n")
        return value

    def until(self, happens: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not happens():
            expect(time.monotonic() < deadline, f"within {PATIENCE_S} s: {what}")
            time.sleep(0.01)

    # -- past it --

    def holds(self, number: int, keys: list[str]) -> set[str]:
        """Those of the keys that this server has."""
        with self.servers[number].connect() as client:
            answer = client.ask(b"get " + " ".join(keys).encode() + b"\r\n", b"END\r\n")
        return {line.split()[1].decode() for line in answer.split(b"\r\n")
                if line.startswith(b"VALUE ")}

    def owners(self, keys: list[str]) -> dict[str, int]:
        """The server of each key, which one server only must have."""
        held = [self.holds(number, keys) for number in range(SERVER_COUNT)]
        equal(sum(map(len, held)), len(keys))
        return {key: number for number in range(SERVER_COUNT) for key in held[number]}


def kill_and_restart(program: Program, *args: str) -> None:
    with ExitStack() as ending:
        ring = _Ring(program, args, ending)
        values = {f"key{i}": b"value of key %d" % i for i in range(KEY_COUNT)}
        for key, value in values.items():
            equal(ring.set(key, value), b"STORED\r\n")
        for key, value in values.items():
            equal(ring.get(key), value)
        owners = ring.owners(list(values))
        shares = [list(owners.values()).count(number) for number in range(SERVER_COUNT)]
        expect(min(shares) > KEY_COUNT / 10, f"each has its share: {shares}")

        # Large values, which the proxy hands on in pieces, and a multi-get, which it takes apart.
        large = {f"large{i}": content(200_000 + 100_000 * i) for i in range(8)}
        for key, value in large.items():
            equal(ring.set(key, value), b"STORED\r\n")
        for key, value in large.items():
            equal(ring.get(key), value)
        answer = ring.client.ask(b"get " + " ".join(values).encode() + b"\r\n", b"END\r\n")
        equal(answer.count(b"VALUE "), KEY_COUNT)

        lost = {key for key, owner in owners.items() if owner == 1}
        kept = {key: value for key, value in values.items() if key not in lost}
        ring.kill(1)
        for key in sorted(lost):  # as a cache's client does it: what is missing is stored anew
            ring.until(lambda: ring.set(key, values[key]) == b"STORED\r\n", f"{key} is stored")
        for key, value in kept.items():
            equal(ring.get(key), value)
        for key in sorted(lost):
            ring.until(lambda: ring.get(key) == values[key], f"{key} is read")
        elsewhere = ring.holds(0, sorted(lost)), ring.holds(2, sorted(lost))
        equal(elsewhere[0] | elsewhere[1], lost)
        expect(elsewhere[0] and elsewhere[1], "the lost server's keys go to both of the others")

        ring.restart(1)
        probe = min(lost)
        ring.until(lambda: ring.set(probe, b"back") == b"STORED\r\n"
                   and probe in ring.holds(1, [probe]), "the restarted server is used again")
        for key in sorted(lost - {probe}):
            equal(ring.get(key), None)  # it is back, and empty
            equal(ring.set(key, values[key]), b"STORED\r\n")
        for key, value in (values | {probe: b"back"}).items():
            equal(ring.get(key), value)
        equal(ring.holds(1, sorted(values)), lost)
        ring.stop_all()


# The cases of python_clients that stay within what the proxy hands on.
_HANDED_ON = (
    python_clients.pymemcache_sizes,
    python_clients.pymemcache_storage,
    python_clients.pymemcache_cas,
    python_clients.pymemcache_numbers,
    python_clients.pymemcache_serde,
    python_clients.pymemcache_pool_in_threads,
    python_clients.pylibmc_objects,
    python_clients.pylibmc_storage,
    python_clients.pylibmc_many,
)


def clients_through_it(program: Program, *args: str) -> None:
    with ExitStack() as ending:
        ring = _Ring(program, args, ending)
        for function in _HANDED_ON:
            try:
                function(ring.port)
            except Exception as fault:
                raise AssertionError(f"{function.__name__}: {fault!r}") from fault
        ring.stop_all()


# Called with a program and its arguments: they start servers of their own.
CASES = [
    Case("twemproxy, a server killed and restarted", kill_and_restart),
    Case("twemproxy, pymemcache and pylibmc", clients_through_it),
]

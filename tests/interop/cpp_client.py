"""Our own client library, //src/client: its program `try`, which the build puts beside torc.

`try` prints TAP. The ring is held against pylibmc's: what the one stored, the other must find.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pylibmc

import sasl
import scripts
import servers
from case import Case
from lib.ports import free_port
from lib.server import Program, Server
from python_clients import equal, refuses

PROTOCOLS = ("text", "meta", "binary")
USER, PASSWORD = "torc", "open-sesame"  # in memcached's file a blank would end the password
SERVER_COUNT = 3
# What `try` leaves behind of its batches: the odd ones of 2,000 keys, each its own value.
LEFT_BEHIND = range(1, 2000, 2)


class Cases:
    """The cases, of the program that was built beside `torc`."""

    def __init__(self, torc: str | None):
        words = Program(torc).prefix if torc else []
        found = [path for word in words if (path := Path(word).parent / "client/try").is_file()]
        self._program = found[0] if found else None

    def of_a_server(self) -> list[Case]:
        return [self._case(p, lambda port, p=p: self._try(p, port)) for p in PROTOCOLS]

    def of_sasl(self) -> list[Case]:
        return [self._case("SASL", lambda port: self._authenticate("binary", port, sasl.USER,
                                                                   sasl.PASSWORD))]

    def of_passwords(self) -> list[Case]:
        """Of a server with a file of passwords (password_server)."""
        return [self._case(f"-Y, {p}",
                           lambda port, p=p: self._authenticate(p, port, USER, PASSWORD))
                for p in ("text", "meta")]

    def of_rings(self) -> list[Case]:
        """Called with the program and its options: they start servers of their own."""
        return [self._case(f"ring, {p}", functools.partial(self._ring, p)) for p in PROTOCOLS]

    def _case(self, name: str, check: Callable[..., None]) -> Case:
        return Case(f"C++ client, {name}", check, self._absent)

    def _absent(self) -> str:
        return "" if self._program else "src/client/try is not built beside torc"

    def _try(self, protocol: str, *ports: int, options: tuple[str, ...] = ()) -> None:
        scripts.run_tap(self._program, protocol, f"try-{protocol}:",
                        *(f"127.0.0.1:{port}" for port in ports), *options)

    def _authenticate(self, protocol: str, port: int, user: str, password: str) -> None:
        self._try(protocol, port, options=("--user", user, "--password", password))
        refuses(lambda: self._try(protocol, port,
                                  options=("--user", user, "--password", password + "x")),
                errors=(AssertionError,))

    def _ring(self, protocol: str, program: Program, *args: str) -> None:
        with ExitStack() as running:
            ports = [running.enter_context(servers.at_port(program, free_port(), *args)).port
                     for _ in range(SERVER_COUNT)]
            self._try(protocol, *ports)
            client = pylibmc.Client([f"127.0.0.1:{port}" for port in ports],
                                    behaviors={"ketama_weighted": True})
            keys = [f"try-{protocol}:batch{i}" for i in LEFT_BEHIND]
            equal(client.get_multi(keys), {key: key.encode() for key in keys})


@contextmanager
def password_server(program: Program, *args: str) -> Iterator[Server]:
    with program.scratch() as folder:
        folder.outside.chmod(0o755)
        (folder.outside / "users").write_text(f"{USER}:{PASSWORD}\n")
        secret = f"{USER} {PASSWORD}".encode()
        # To anything else memcached may say nothing before it knows who asks.
        probe = b"set auth 0 0 %d\r\n%s\r\n" % (len(secret), secret)
        with servers.at_port(program, free_port(), "-Y", str(folder.inside / "users"), *args,
                             probe=probe) as server:
            yield server

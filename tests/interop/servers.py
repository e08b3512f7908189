"""Servers where the clients of this suite want them: at a port that is known before they start."""

from __future__ import annotations

import socket
import time

import isolation
from lib.ports import free_port
from lib.server import Program, Server, ServerFault

START_TIMEOUT_S = 20
TEXT_PROBE = b"mn\r\n"
BINARY_PROBE = b"\x80\x0a" + bytes(22)  # a no-op


def at_port(program: Program, port: int, *args: str, probe: bytes = TEXT_PROBE,
            env: dict[str, str] | None = None) -> Server:
    """A server at `port` of the loopback address, that has answered `probe`."""
    server = Server(program, *args, env=env, listen=("-l", "127.0.0.1", "-p", str(port)),
                    preexec_fn=isolation.die_with_parent)
    server.port = port
    try:
        wait_for_answer(server.process, port, probe)
    except BaseException as fault:
        server.stop()
        raise ServerFault(f"{fault}\n{server.report()}") from None
    return server


def wait_for_answer(process, port: int, probe: bytes) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), START_TIMEOUT_S) as client:
                client.sendall(probe)
                if client.recv(100):
                    return
        except OSError:
            pass
        time.sleep(0.005)
    raise ServerFault(f"nothing answers at port {port}")


def with_udp(program: Program, *args: str) -> Server:
    """A server whose UDP port has the number of its TCP port, as memcaslap -U wants it."""
    port = free_port()
    return at_port(program, port, "-U", str(port), *args)

"""Many connections at once from one process: sends requests, notes when each answer was there."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable

TIMEOUT_S = 30.0


class Connection:
    """A connection with one batch of requests under way. `parse` takes complete replies away."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.outgoing = memoryview(b"")
        self.incoming = bytearray()

    def close(self) -> None:
        self.sock.close()


def drive(
    connections: list[Connection],
    next_batch: Callable[[int], bytes | None],
    on_bytes: Callable[[int], bool],
) -> None:
    """Keeps every connection busy until `next_batch(i)` is None for it.

    `on_bytes(i)` looks at connections[i].incoming and says whether the batch is answered in full.
    """
    with selectors.DefaultSelector() as selector:

        def begin(number: int) -> bool:
            batch = next_batch(number)
            if batch is None:
                return False
            connections[number].outgoing = memoryview(batch)
            return True

        busy = 0
        for number, connection in enumerate(connections):
            if begin(number):
                busy += 1
                selector.register(
                    connection.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, number
                )
        quiet_since = time.monotonic()
        while busy:
            events = selector.select(1.0)
            if events:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > TIMEOUT_S:
                raise TimeoutError(f"{busy} connections wait for an answer for {TIMEOUT_S:g} s")
            for key, mask in events:
                connection = connections[key.data]
                if mask & selectors.EVENT_WRITE and connection.outgoing:
                    try:
                        sent = connection.sock.send(connection.outgoing[:1 << 16])
                        connection.outgoing = connection.outgoing[sent:]
                    except BlockingIOError:
                        pass
                answered = False
                if mask & selectors.EVENT_READ:
                    data = connection.sock.recv(1 << 18)
                    if not data:
                        raise ConnectionError("the server has closed a connection")
                    connection.incoming += data
                    answered = on_bytes(key.data)
                if answered and not begin(key.data):
                    selector.unregister(connection.sock)
                    busy -= 1
                    continue
                wanted = selectors.EVENT_READ
                if connection.outgoing:
                    wanted |= selectors.EVENT_WRITE
                if wanted != key.events:
                    selector.modify(connection.sock, wanted, key.data)

"""A client that speaks bytes: it knows nothing of any protocol and hides nothing.

Every read has a deadline, so that a server that does not answer is a failure and never a hang.
"""

import socket
import time

Address = tuple[str, int] | str  # (host, port), or the path of a unix socket


class Silence(AssertionError):
    """The server sent less than was waited for. `got` is what did arrive."""

    def __init__(self, what: str, got: bytes):
        super().__init__(f"{what}; so far {got[-200:]!r}")
        self.got = got


class Client:
    def __init__(self, address: Address, timeout: float = 10.0):
        self.timeout = timeout
        if isinstance(address, str):
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(timeout)
            self.sock.connect(address)
        else:
            self.sock = socket.create_connection(address, timeout)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()
        self.closed = False  # the server has closed its side, as far as was read

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        """Sends all of `data`, reading meanwhile so that neither side can block the other."""
        deadline = time.monotonic() + self.timeout
        view = memoryview(data)
        self.sock.setblocking(False)
        try:
            while view:
                try:
                    view = view[self.sock.send(view) :]
                    continue
                except BlockingIOError:
                    pass
                if not self.closed:
                    self._receive_now()
                if time.monotonic() > deadline:
                    raise Silence(f"{len(view)} bytes could not be sent", bytes(self._buffer))
                time.sleep(0.0005)
        finally:
            self.sock.setblocking(True)

    def half_close(self) -> None:
        """Says that nothing more will be sent; replies can still be read."""
        self.sock.shutdown(socket.SHUT_WR)

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes; fewer only when the server closes first."""
        self._wait_until(lambda: len(self._buffer) >= size, f"{size} bytes wanted")
        return self._take(size)

    def read_until(self, end: bytes) -> bytes:
        """All up to and with `end`; without it when the server closes first."""
        searched = 0

        def found() -> bool:
            nonlocal searched
            start = max(0, searched - len(end) + 1)
            searched = len(self._buffer)
            return self._buffer.find(end, start) >= 0

        self._wait_until(found, f"{end!r} wanted")
        at = self._buffer.find(end)
        return self._take(len(self._buffer) if at < 0 else at + len(end))

    def read_line(self) -> bytes:
        return self.read_until(b"\r\n")

    def read_to_close(self) -> bytes:
        """All that comes until the server closes, which it must do in time."""
        self._wait_until(lambda: self.closed, "a close wanted")
        return self._take(len(self._buffer))

    def ask(self, request: bytes, end: bytes = b"\r\n") -> bytes:
        """Sends a request and returns its answer, which ends in `end`."""
        self.send(request)
        return self.read_until(end)

    def stats(self, what: str = "") -> dict[str, str]:
        """The answer to `stats [what]` as a dictionary, in the server's order."""
        answer = self.ask(f"stats {what}".rstrip().encode() + b"\r\n", b"END\r\n")
        lines = answer.decode("latin-1").split("\r\n")
        return dict(line.split(" ", 2)[1:] for line in lines if line.startswith("STAT "))

    def pending(self) -> bytes:
        """What was received and not yet read; consumes nothing."""
        return bytes(self._buffer)

    def is_open(self) -> bool:
        """False once the server has closed; consumes nothing."""
        if not self.closed:
            self.sock.setblocking(False)
            try:
                self._receive_now()
            finally:
                self.sock.setblocking(True)
        return not self.closed

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _wait_until(self, ready, what: str) -> None:
        deadline = time.monotonic() + self.timeout
        while not ready() and not self.closed:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Silence(f"{what} within {self.timeout:g} s", bytes(self._buffer))
            self.sock.settimeout(left)
            try:
                self._receive()
            except TimeoutError:
                pass

    def _receive_now(self) -> None:
        try:
            while not self.closed:
                self._receive()
        except BlockingIOError:
            pass

    def _receive(self) -> None:
        try:
            data = self.sock.recv(1 << 18)
        except (ConnectionResetError, BrokenPipeError):
            data = b""  # a reset is a close to whoever only looks at bytes
        self._buffer += data
        self.closed = not data

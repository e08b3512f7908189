"""One blocking connection, for questions and for values of any size."""

import socket

from .errors import BenchError


class Client:
    """Speaks the text protocol."""

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

    def dump_keys(self) -> int:
        """`lru_crawler metadump all`, read to its end; how many lines it had."""
        self.socket.sendall(b"lru_crawler metadump all\r\n")
        lines = 0
        tail = b""
        while not tail.endswith(b"END\r\n"):
            received = self.reader.read1(1 << 20)
            if not received or received.startswith((b"BUSY", b"ERROR", b"CLIENT_ERROR")):
                raise BenchError(f"no dump: {received[:80]!r}")
            lines += received.count(b"\n")
            tail = (tail + received[-8:])[-8:]
        return lines - 1

    def stats(self, what: str = "") -> dict[str, str]:
        self.socket.sendall(f"stats {what}".rstrip().encode() + b"\r\n")
        values = {}
        while (line := self.line()) not in ("END", "RESET"):
            name, value = (line.split(" ", 2)[1:] + [""])[:2]
            values[name] = value
        return values

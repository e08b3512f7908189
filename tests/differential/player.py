"""Plays a stream of commands to one server and collects what it answers."""

from __future__ import annotations

import itertools
import random
import selectors
import socket
import struct
import time
from collections.abc import Iterable

import binary_commands
import commands
import replies
from commands import CasToken, Command
from lib.server import Program, Server

# Stands for a token that the server has not shown yet. No server has given it out.
UNKNOWN_TOKEN = b"9999999999999999999"
# Begins the opaque of the packet that ends a chunk: no other has its highest bit.
MARK_OPAQUE = 1 << 31
ANSWER_TIMEOUT_S = 5.0


class Subject:
    """A server under comparison. It is started again when a stream has killed it."""

    def __init__(self, program: Program, *args: str) -> None:
        self.program = program
        self.args = args
        self.starts = 0
        self._server: Server | None = None
        self.restart()

    def __str__(self) -> str:
        return " ".join([str(self.program), *self.args])

    @property
    def server(self) -> Server:
        assert self._server is not None
        return self._server

    def died(self) -> bool:
        return self.server.process.poll() is not None

    def restart(self) -> None:
        if self._server is not None:
            self._server.kill_if_needed()
        self._server = Server(self.program, *self.args)
        self.starts += 1

    def close(self) -> None:
        """Stops the server; raises when it ended otherwise than asked."""
        self.server.__exit__(None, None, None)


class Answers:
    """What one server answered: canonical bytes for every (chunk, connection)."""

    def __init__(self) -> None:
        self.by_chunk: dict[tuple[int, int], bytes] = {}
        self.death: str = ""

    def is_silent(self) -> bool:
        """True if some chunk was not answered to its end."""
        return any(reply.endswith(b"<silence>") for reply in self.by_chunk.values())

    def first_difference(self, other: Answers) -> tuple[int, int] | None:
        for where, reply in self.by_chunk.items():
            if other.by_chunk.get(where) != reply:
                return where
        return (-1, -1) if self.death or other.death else None


class _Lane:
    """One connection of a stream. It is opened anew when the server has closed it."""

    def __init__(self, subject: Subject, number: int, binary: bool) -> None:
        self.number = number
        self.binary = binary
        self._subject = subject
        self._marks = itertools.count()
        self.sock: socket.socket | None = None
        self.outgoing: list[bytes] = []
        self.incoming = bytearray()
        self.mark = b""
        self.end = ""  # how the answer ended: "mark", "close" or "silence"; "" while it comes

    def begin(self, data: bytes, piece_sizes: Iterable[int], marked: bool) -> None:
        """Gets `data` ready to be sent in pieces.

        A mark goes behind it, whose answer is unique, unless the server is to close: a close with
        bytes unread is a reset, which may overtake replies.
        """
        if self.sock is None:
            self.sock = socket.create_connection(self._subject.server.address, ANSWER_TIMEOUT_S)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sock.setblocking(False)
        ask_for_mark = self._make_mark(next(self._marks))
        self.outgoing = []
        at = 0
        for size in piece_sizes:
            self.outgoing.append(data[at : at + size])
            at += size
        self.outgoing.append(data[at:])
        if marked:
            self.outgoing.append(ask_for_mark)
        self.outgoing = [piece for piece in self.outgoing if piece]
        self.incoming = bytearray()
        self.end = ""

    def _make_mark(self, serial: int) -> bytes:
        """Sets the answer that ends a chunk, and returns what asks for it."""
        if self.binary:
            noop, opaque = binary_commands.OPCODES["noop"], MARK_OPAQUE | serial
            self.mark = b"".join(binary_commands.packet(noop, opaque=opaque, magic=0x81))
            return b"".join(binary_commands.packet(noop, opaque=opaque))
        name, number = b"mark%d" % self.number, b"%08d" % serial
        self.mark = b"VALUE %s 0 8\r\n%s\r\nEND\r\n" % (name, number)
        return b"set %s 0 0 8 noreply\r\n%s\r\nget %s\r\n" % (name, number, name)

    def send_some(self) -> None:
        assert self.sock is not None
        while self.outgoing:
            try:
                sent = self.sock.send(self.outgoing[0])
            except BlockingIOError:
                return
            except (BrokenPipeError, ConnectionResetError):
                self.outgoing = []  # the server has closed; its last words are still to be read
                return
            if sent < len(self.outgoing[0]):
                self.outgoing[0] = self.outgoing[0][sent:]
                return
            self.outgoing.pop(0)
            if len(self.outgoing) % 8 == 7:
                return  # let the server see pieces, and let other lanes send

    def receive_some(self) -> None:
        assert self.sock is not None
        try:
            data = self.sock.recv(1 << 18)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        self.incoming += data
        if not data:
            self.finish("close")
        elif self.incoming.endswith(self.mark):
            del self.incoming[len(self.incoming) - len(self.mark) :]
            self.end = "mark"

    def finish(self, end: str) -> None:
        self.end = end
        self.close()

    def close(self) -> None:
        if self.sock is not None:
            self.sock.close()
            self.sock = None


def play(subject: Subject, stream: list[Command], stream_seed: str) -> Answers:
    """Plays `stream` from an empty state. Piece sizes follow `stream_seed` and the chunk number."""
    if subject.died():
        subject.restart()
    answers = Answers()
    lanes: dict[int, _Lane] = {}
    tokens = replies.CasTokens()
    try:
        _forget_keys(subject, stream)
        for chunk, members in itertools.groupby(stream, key=lambda command: command.chunk):
            by_lane: dict[int, list[Command]] = {}
            for command in members:
                by_lane.setdefault(command.connection, []).append(command)
            busy = []
            for number, batch in by_lane.items():
                lane = lanes.setdefault(number, _Lane(subject, number, batch[0].binary))
                data = b"".join(_render(command, tokens) for command in batch)
                rng = random.Random(f"{stream_seed}/{chunk}/{number}")
                sizes = _piece_sizes(rng, batch[0].pieces, len(data))
                lane.begin(data, sizes, marked=batch[-1].kind != commands.HANG_UP)
                busy.append(lane)
            _run(busy)
            for lane in busy:
                canonical = replies.canonical_packets if lane.binary else replies.canonical
                reply = canonical(bytes(lane.incoming), tokens)
                ending = b"" if lane.end == "mark" else b"<%s>" % lane.end.encode()
                answers.by_chunk[chunk, lane.number] = reply + ending
    except OSError as error:
        answers.death = f"{type(error).__name__}: {error}"
    finally:
        for lane in lanes.values():
            lane.close()
    time.sleep(0 if not answers.death else 0.2)  # a dying process may need a moment to be dead
    if subject.died():
        answers.death = f"the server ended\n{subject.server.report()}"
    return answers


def _run(lanes: list[_Lane]) -> None:
    """Sends and receives on all lanes at once until every one has its answer."""
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    with selectors.DefaultSelector() as selector:
        for lane in lanes:
            selector.register(lane.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, lane)
        left = len(lanes)
        while left:
            timeout = deadline - time.monotonic()
            events = selector.select(max(timeout, 0))
            if timeout <= 0:
                for lane in lanes:
                    if not lane.end:
                        lane.finish("silence")
                return
            for key, mask in events:
                lane = key.data
                sock = lane.sock
                if mask & selectors.EVENT_READ:
                    lane.receive_some()
                if not lane.end and mask & selectors.EVENT_WRITE:
                    lane.send_some()
                if lane.end:
                    selector.unregister(sock)
                    left -= 1
                elif not lane.outgoing and mask & selectors.EVENT_WRITE:
                    selector.modify(sock, selectors.EVENT_READ, lane)


def _render(command: Command, tokens: replies.CasTokens) -> bytes:
    return b"".join(_token(part, tokens) if isinstance(part, CasToken) else part
                    for part in command.parts)


def _token(part: CasToken, tokens: replies.CasTokens) -> bytes:
    number = tokens.get(part.key, part.back) or UNKNOWN_TOKEN
    return struct.pack(">Q", int(number)) if part.binary else number


def _piece_sizes(rng: random.Random, pieces: str, size: int) -> list[int]:
    if pieces == "whole" or size == 0:
        return []
    if pieces == "bytes" and size <= 4000:
        return [1] * size
    mean = rng.choice((10, 100, 1500, 9000)) + size // 200
    sizes: list[int] = []
    while sum(sizes) < size and len(sizes) < 400:
        sizes.append(rng.randint(1, 2 * mean))
    return sizes


def _forget_keys(subject: Subject, stream: list[Command]) -> None:
    with subject.server.connect() as client:
        lines = [b"delete %s noreply\r\n" % key for key in commands.text_keys()]
        client.ask(b"".join(lines) + b"mn\r\n", b"MN\r\n")
    if not any(command.binary for command in stream):
        return
    deleteq, noop = binary_commands.OPCODES["deleteq"], binary_commands.OPCODES["noop"]
    end = b"".join(binary_commands.packet(noop, opaque=MARK_OPAQUE, magic=0x81))
    with subject.server.connect() as client:
        parts = [part for key in commands.packet_keys()
                 for part in binary_commands.packet(deleteq, key)]
        parts += binary_commands.packet(noop, opaque=MARK_OPAQUE)
        client.ask(b"".join(parts), end)

"""Operations, and how each protocol says them and hears what they did. No judgement here.

A speaker turns `Operation`s into bytes and reads the answers, in order, into `Outcome`s. It raises
`Wrong` where a byte of the answer is not what the protocol lays down.
"""

from __future__ import annotations

import base64
import dataclasses
import itertools
import struct

from binary_commands import OPCODES, packet
from lib.client import Client

# Larger ones are more than 250 bytes in base64, which is what is counted.
BASE64_KEY_MAX = 187
NOTHING = 0xFFFFFFFF  # the exptime of a binary counter that is not to be made


class Wrong(AssertionError):
    """The server has said something that it must not say."""


@dataclasses.dataclass(frozen=True)
class Operation:
    kind: str  # set, add, append, incr, delete, touch, get (of one key or many), noop
    keys: tuple[bytes, ...] = ()
    value: bytes = b""
    flags: int = 0
    delta: int = 0
    quiet: bool = False  # a set that is answered only where it fails, or not even there

    @property
    def key(self) -> bytes:
        return self.keys[0]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """done, absent (there is no such item), present (so add did nothing), refused (no memory), or
    unheard (quiet). A get has what it found by key, an incr its number."""

    said: str
    found: dict[bytes, tuple[int, bytes]] = dataclasses.field(default_factory=dict)
    number: int = 0


DONE, ABSENT, PRESENT = Outcome("done"), Outcome("absent"), Outcome("present")
REFUSED, UNHEARD = Outcome("refused"), Outcome("unheard")
_WORDS = {
    b"STORED\r\n": DONE, b"DELETED\r\n": DONE, b"TOUCHED\r\n": DONE, b"HD\r\n": DONE,
    b"MN\r\n": DONE, b"NOT_FOUND\r\n": ABSENT, b"NF\r\n": ABSENT,
    b"SERVER_ERROR out of memory storing object\r\n": REFUSED,
    b"SERVER_ERROR out of memory\r\n": REFUSED,
}


class TextSpeaker:
    QUIET_SETS = 0.3  # how many of its sets are

    def __init__(self, client: Client):
        self.client = client

    def begin(self) -> None:
        """Comes before each batch."""

    def say(self, op: Operation) -> bytes:
        match op.kind:
            case "noop":
                return b"mn\r\n"
            case "get":
                return b"get %s\r\n" % b" ".join(op.keys)
            case "incr":
                return b"incr %s %d\r\n" % (op.key, op.delta)
            case "delete":
                return b"delete %s\r\n" % op.key
            case "touch":
                return b"touch %s 1000\r\n" % op.key
        noreply = b" noreply" if op.quiet else b""
        return b"%s %s %d 0 %d%s\r\n%s\r\n" % (op.kind.encode(), op.key, op.flags, len(op.value),
                                             noreply, op.value)

    def hear(self, op: Operation) -> Outcome:
        if op.quiet:
            return UNHEARD
        if op.kind == "get":
            return Outcome("done", self._values(op))
        line = self.client.read_line()
        if line == b"NOT_STORED\r\n":
            return PRESENT if op.kind == "add" else ABSENT
        if op.kind == "incr" and line[:-2].isdigit():
            return Outcome("done", number=int(line))
        if line not in _WORDS:
            raise Wrong(f"{op.kind} {op.keys} is answered with {line[:200]!r}")
        return _WORDS[line]

    def _values(self, op: Operation) -> dict[bytes, tuple[int, bytes]]:
        """Those of the keys that are there must come in the order of the keys."""
        found = {}
        keys = iter(op.keys)
        while (line := self.client.read_line()) != b"END\r\n":
            words = line[:-2].split(b" ")
            if len(words) != 4 or words[0] != b"VALUE" or words[1] not in keys:
                raise Wrong(f"get of {op.keys} is answered with {line[:200]!r}")
            found[words[1]] = (int(words[2]), self.data(int(words[3]), words[1]))
        return found

    def data(self, size: int, key: bytes) -> bytes:
        data = self.client.read(size + 2)
        if len(data) != size + 2 or data[-2:] != b"\r\n":
            raise Wrong(f"the value of {key!r} ends in {data[-20:]!r}, not in an end of line")
        return data[:-2]


class MetaSpeaker(TextSpeaker):
    """Opaques that must come back, keys in base64 in gets, which are quiet on a miss."""

    # A quiet ms tells of a failure in a line without its opaque: whose it is, nobody can say.
    QUIET_SETS = 0

    def begin(self) -> None:
        self._serials = itertools.count()
        self._heard = itertools.count()

    def say(self, op: Operation) -> bytes:
        if op.kind == "noop":
            return b"mn\r\n"
        opaque = next(self._serials)
        match op.kind:
            case "get":
                return b"".join(self._mg(key, opaque) for key in op.keys) + b"mn\r\n"
            case "incr":
                return b"ma %s v D%d O%d\r\n" % (op.key, op.delta, opaque)
            case "delete":
                return b"md %s O%d\r\n" % (op.key, opaque)
            case "touch":
                return b"mg %s T1000 O%d\r\n" % (op.key, opaque)
        mode = {"set": b"S", "add": b"E", "append": b"A"}[op.kind]
        return b"ms %s %d F%d M%s O%d\r\n%s\r\n" % (op.key, len(op.value), op.flags, mode, opaque,
                                                  op.value)

    @staticmethod
    def _mg(key: bytes, opaque: int) -> bytes:
        if len(key) > BASE64_KEY_MAX:
            return b"mg %s v f k q O%d\r\n" % (key, opaque)
        return b"mg %s v f k b q O%d\r\n" % (base64.b64encode(key), opaque)

    def hear(self, op: Operation) -> Outcome:
        if op.kind == "noop":
            return super().hear(op)
        opaque = b"O%d" % next(self._heard)
        if op.kind == "get":
            return Outcome("done", self._hits(op, opaque))
        line = self.client.read_line()
        words = line[:-2].split(b" ")
        if line.startswith(b"SERVER_ERROR out of memory"):
            return REFUSED
        if words[-1] != opaque:
            raise Wrong(f"{op.kind} {op.keys} with {opaque!r} is answered with {line[:200]!r}")
        if op.kind == "incr" and words[0] == b"VA":
            return Outcome("done", number=int(self.data(int(words[1]), op.key)))
        if words[0] == b"NS":
            return PRESENT if op.kind == "add" else ABSENT
        if words[0] in (b"EN", b"NF"):
            return ABSENT
        if words[0] != b"HD":
            raise Wrong(f"{op.kind} {op.keys} is answered with {line[:200]!r}")
        return DONE

    def _hits(self, op: Operation, opaque: bytes) -> dict[bytes, tuple[int, bytes]]:
        found = {}
        keys = iter(op.keys)
        while (line := self.client.read_line()) != b"MN\r\n":
            words = line[:-2].split(b" ")
            key = words[3][1:] if len(words) >= 5 else b""
            if words[-2] == b"b":
                key = base64.b64decode(key)
            if words[0] != b"VA" or words[-1] != opaque or key not in keys:
                raise Wrong(f"mg of {op.keys} with {opaque!r} is answered with {line[:200]!r}")
            found[key] = (int(words[2][1:]), self.data(int(words[1]), key))
        return found


class BinarySpeaker:
    """Quiet stores, and gets that are quiet on a miss, closed by a noop."""

    QUIET_SETS = 0.3

    # The opcode of each kind of operation.
    _NAMES = {"set": "set", "add": "add", "append": "append", "incr": "incr", "delete": "delete",
              "touch": "touch", "get": "getkq", "noop": "noop"}

    def __init__(self, client: Client):
        self.client = client
        self._ahead: tuple | None = None

    def begin(self) -> None:
        self._serials = itertools.count(1)
        self._heard = itertools.count(1)

    def say(self, op: Operation) -> bytes:
        opaque = next(self._serials)
        opcode = OPCODES[self._NAMES[op.kind] + "q" * op.quiet]
        if op.kind == "get":
            asked = [packet(opcode, key, opaque=opaque) for key in op.keys]
            return b"".join(sum(asked, []) + packet(OPCODES["noop"], opaque=opaque))
        extras = {"set": struct.pack(">II", op.flags, 0), "add": struct.pack(">II", op.flags, 0),
                  "incr": struct.pack(">QQI", op.delta, 0, NOTHING),
                  "touch": struct.pack(">I", 1000)}.get(op.kind, b"")
        return b"".join(packet(opcode, op.key if op.keys else b"", extras, op.value, opaque))

    def hear(self, op: Operation) -> Outcome:
        opaque = next(self._heard)
        if op.kind == "get":
            return Outcome("done", self._hits(op, opaque))
        opcode, status, extras, key, value = self._packet(opaque, op.quiet)
        if status is None:
            return UNHEARD
        # A touch tells the flags.
        if (opcode != OPCODES[self._NAMES[op.kind] + "q" * op.quiet] or key
                or len(extras) != (4 if op.kind == "touch" and status == 0 else 0)):
            raise Wrong(f"{op.kind} {op.keys} is answered with opcode {opcode}, {extras!r}, "
                        f"{key!r}")
        if status == 0 and op.kind == "incr":
            return Outcome("done", number=struct.unpack(">Q", value)[0])
        outcome = {0: DONE, 1: ABSENT, 2: PRESENT, 5: ABSENT, 0x82: REFUSED}.get(status)
        if outcome is None or status == 0 and value:
            raise Wrong(f"{op.kind} {op.keys} is answered with status {status}, {value[:100]!r}")
        return outcome

    def _hits(self, op: Operation, opaque: int) -> dict[bytes, tuple[int, bytes]]:
        found = {}
        keys = iter(op.keys)
        while True:
            opcode, status, extras, key, value = self._packet(opaque, False)
            if (opcode, status, extras, key, value) == (OPCODES["noop"], 0, b"", b"", b""):
                return found
            if opcode != OPCODES["getkq"] or status or len(extras) != 4 or key not in keys:
                raise Wrong(f"getkq of {op.keys} is answered with opcode {opcode}, status "
                            f"{status}, {extras!r}, {key!r}, {value[:100]!r}")
            found[key] = (struct.unpack(">I", extras)[0], value)

    def _packet(self, opaque: int, may_be_silent: bool) -> tuple:
        """The next packet, which must have this opaque; nothing if it may be and is of a later."""
        if self._ahead is None:
            header = self.client.read(24)
            magic, opcode, key_size, extras_size, data_type, status, body_size, found, _ = (
                struct.unpack(">BBHBBHIIQ", header) if len(header) == 24 else (0,) * 9)
            if magic != 0x81 or data_type or body_size > 1 << 21:
                raise Wrong(f"a packet begins with {header!r}")
            body = self.client.read(body_size)
            self._ahead = (found, opcode, status, body[:extras_size],
                           body[extras_size : extras_size + key_size],
                           body[extras_size + key_size :])
        if self._ahead[0] > opaque and may_be_silent:
            return (None,) * 5
        if self._ahead[0] != opaque:
            raise Wrong(f"a packet has opaque {self._ahead[0]}, not {opaque}")
        packet_read, self._ahead = self._ahead[1:], None
        return packet_read

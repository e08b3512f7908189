"""The well-behaved: connections whose keys nobody else names, and which know what these must hold.

A witness stores values that are a function of key and version, and notes what its commands have
made of them. From then on the server may say that a key is absent, for it may evict, and anybody
may flush; it must never give a byte that is not that value's. What was seen to be absent stays
absent, until the witness stores it again.
"""

from __future__ import annotations

import hashlib
import random
import socket
import struct
from collections.abc import Callable

from lib.client import Client
from speakers import BinarySpeaker, MetaSpeaker, Operation, Outcome, TextSpeaker, Wrong

# Larger ones may be called absent for want of room among those being sent, and be there again.
ALWAYS_FOUND_BYTES_MAX = 4096
# Copied into the reply, sent from where they lie, chained; and arriving in one piece or in many.
SIZES = ((0, 100), (0, 100), (0, 2000), (2000, 20_000), (15_000, 80_000), (300_000, 1_000_000))
PLAIN_KEYS, COUNTER_KEYS, LARGE_KEYS = 24, 4, 2


def content(key: bytes, version: int, size: int) -> bytes:
    """Says whose it is, and no two are alike anywhere."""
    name = b"<%s #%d>\r\n" % (key, version)
    return (name + hashlib.shake_128(name).digest(size))[:size]


def _prefix(seed: str, name: str) -> bytes:
    return b"witness:%s:" % hashlib.md5(f"{seed}:{name}".encode()).hexdigest()[:8].encode()


def difference(got: bytes, wanted: bytes) -> str:
    at = next((i for i, (a, b) in enumerate(zip(got, wanted)) if a != b),
              min(len(got), len(wanted)))
    return (f"{len(got)} bytes for {len(wanted)}, wrong from byte {at}: "
            f"{got[at : at + 60]!r} for {wanted[at : at + 60]!r}")


class Witness:
    """One connection, one protocol, keys of its own."""

    def __init__(self, name: str, seed: str, speaker: TextSpeaker | BinarySpeaker):
        self.name = name
        self.hits = 0
        self.misses = 0
        self._rng = random.Random(f"{seed}:{name}")
        self._speaker = speaker
        self._version = 0
        prefix = _prefix(seed, name)
        self._plain = [prefix + b"%d" % i for i in range(PLAIN_KEYS)]
        self._plain[0] = self._plain[0].ljust(250, b"x")
        self._counters = [prefix + b"n%d" % i for i in range(COUNTER_KEYS)]
        self._large = [prefix + b"large%d" % i for i in range(LARGE_KEYS)]
        # What the server holds, unless it was evicted: flags and value. None: nothing, for certain.
        self._held: dict[bytes, tuple[int, bytes] | None] = {}
        # Keys never stored are asked for, too: nothing of anybody's may be found there.
        self._never = prefix + b"never"

    def step(self) -> None:
        """One pipeline, and a judgement of each of its answers."""
        batch = [self._operation() for _ in range(self._rng.choice((1, 2, 5, 20, 60)))]
        batch.append(Operation("noop"))  # what is quiet has been done when this is answered
        self._speaker.begin()
        self._speaker.client.send(b"".join(self._speaker.say(op) for op in batch))
        for op in batch:
            self._judge(op, self._speaker.hear(op))

    def close(self) -> None:
        self._speaker.client.close()

    # -- what it does --

    def _operation(self) -> Operation:
        rng = self._rng
        kind = rng.choices(("get", "set", "add", "append", "incr", "delete", "touch"),
                           (40, 30, 5, 5, 10, 5, 5))[0]
        if kind == "get":
            keys = [*self._plain, *self._counters, *self._large, self._never]
            return Operation(kind, tuple(rng.sample(keys, rng.choice((1, 1, 2, 5, 24)))))
        if kind == "incr":
            key = rng.choice(self._counters)
            if rng.random() < 0.3:
                return Operation("set", (key,), b"%d" % rng.getrandbits(rng.choice((4, 40))))
            return Operation(kind, (key,), delta=rng.choice((1, 9, 1000, 2**40)))
        if kind in ("delete", "touch"):
            return Operation(kind, (rng.choice(self._plain + self._counters),))
        self._version += 1
        size = rng.randint(*rng.choice(SIZES))
        key = rng.choice(self._large if size > 80_000 else self._plain)
        if kind == "append":
            key, size = rng.choice(self._plain), min(size, 500)
        return Operation(kind, (key,), content(key, self._version, size),
                         0 if kind == "append" else rng.choice((0, 7, rng.getrandbits(32))),
                         quiet=kind == "set" and rng.random() < self._speaker.QUIET_SETS)

    # -- what it holds the server to --

    def _judge(self, op: Operation, outcome: Outcome) -> None:
        for key in op.keys if op.kind == "get" else ():
            self._judge_get(key, outcome.found.get(key))
        if op.kind in ("get", "noop"):
            return
        held = self._held.get(op.key)
        if outcome.said == "absent" and op.kind in ("incr", "delete", "touch"):
            self._held[op.key] = None
        elif outcome.said == "absent" and op.kind == "append":
            pass  # or there was no room for the sum
        elif outcome.said == "refused":
            # A store that fails leaves nothing old behind; of the others, what was there may stay.
            if op.kind == "set":
                self._held[op.key] = None
        elif outcome.said == "present":
            if op.kind != "add" or held is None:
                raise Wrong(f"{op.key!r} is said to be there, and is not")
        elif op.kind in ("set", "add"):  # an add, because what was there has been evicted
            self._held[op.key] = (op.flags, op.value)
        elif held is None:
            raise Wrong(f"{op.kind} of {op.key!r} succeeds, and it is not there")
        elif op.kind == "append":
            self._held[op.key] = (held[0], held[1] + op.value)
        elif op.kind == "incr":
            wanted = (int(held[1]) + op.delta) % 2**64
            if outcome.number != wanted:
                raise Wrong(f"incr of {op.key!r} gives {outcome.number}, not {wanted}")
            self._held[op.key] = (held[0], b"%d" % wanted)
        elif op.kind == "delete":
            self._held[op.key] = None

    def _judge_get(self, key: bytes, found: tuple[int, bytes] | None) -> None:
        held = self._held.get(key)
        if found is None:
            self.misses += held is not None
            if held is not None and len(held[1]) <= ALWAYS_FOUND_BYTES_MAX:
                self._held[key] = None
            return
        if held is None:
            raise Wrong(f"{key!r} is found, and is not there: {found[0]}, {found[1][:60]!r}")
        if found[0] != held[0]:
            raise Wrong(f"{key!r} has the flags {found[0]}, not {held[0]}")
        if found[1] != held[1]:
            raise Wrong(f"{key!r}: {difference(found[1], held[1])}")
        self.hits += 1


class DatagramWitness:
    """Reads by UDP what it has stored by TCP. A datagram may be lost; what comes must be right."""

    ANSWER_S = 1.0

    def __init__(self, name: str, seed: str, client: Client, port: int):
        self.name = name
        self.hits = 0
        self.misses = 0
        self._rng = random.Random(f"{seed}:{name}")
        self._client = client
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.connect(("127.0.0.1", port))
        self._key = _prefix(seed, name)
        self._serial = 0

    def step(self) -> None:
        rng = self._rng
        self._serial += 1
        key = self._key + b"%d" % rng.randrange(4)
        value = content(key, self._serial, rng.choice((0, 10, 1300, 1400, 5000, 30_000)))
        stored = self._client.ask(b"set %s 5 0 %d\r\n%s\r\n" % (key, len(value), value))
        if stored not in (b"STORED\r\n", b"SERVER_ERROR out of memory storing object\r\n"):
            raise Wrong(f"set {key!r} is answered with {stored!r}")
        request_id = self._serial & 0xFFFF
        self._sock.send(struct.pack(">HHHH", request_id, 0, 1, 0) + b"get %s\r\n" % key)
        reply = self._reply(request_id)
        if reply is None or reply == b"END\r\n":
            self.misses += 1
            return
        wanted = b"VALUE %s 5 %d\r\n%s\r\nEND\r\n" % (key, len(value), value)
        if reply != wanted:
            raise Wrong(f"get {key!r} by UDP: {difference(reply, wanted)}")
        self.hits += 1

    def close(self) -> None:
        self._client.close()
        self._sock.close()

    def _reply(self, request_id: int) -> bytes | None:
        """The reply, or nothing where a datagram of it is missing."""
        self._sock.settimeout(self.ANSWER_S)
        parts: dict[int, bytes] = {}
        try:
            while True:
                datagram = self._sock.recv(1 << 16)
                if len(datagram) < 8:
                    raise Wrong(f"a datagram is {datagram!r}")
                found, number, count, reserved = struct.unpack_from(">HHHH", datagram)
                if found != request_id:
                    continue  # of an earlier request, and late
                if number >= count or reserved or number in parts:
                    raise Wrong(f"a datagram begins with {datagram[:8]!r}")
                parts[number] = datagram[8:]
                if len(parts) == count:
                    return b"".join(parts[at] for at in range(count))
        except TimeoutError:
            return None


def text(name: str, seed: str, client: Client) -> Witness:
    return Witness(name, seed, TextSpeaker(client))


def meta(name: str, seed: str, client: Client) -> Witness:
    return Witness(name, seed, MetaSpeaker(client))


def binary(name: str, seed: str, client: Client) -> Witness:
    return Witness(name, seed, BinarySpeaker(client))


PROTOCOLS: dict[str, Callable[[str, str, Client], Witness]] = {
    "text": text, "meta": meta, "binary": binary}

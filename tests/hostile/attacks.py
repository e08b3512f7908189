"""What hostile clients do, as data: every attack follows from a seed and a number.

An `Attack` is the pieces that one connection sends and how it behaves meanwhile. Its bytes begin as
something sensible: commands of tests/differential, a seed of proto's fuzzers, a large value and
many gets of it. Then they are mutated: bits, lengths and magics flipped, parts cut out, doubled,
swapped or torn off, words of the fuzzers' dictionaries put in. No attack names a key of a witness.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import random
import re
import struct
from pathlib import Path

import commands
import streams
from binary_commands import OPCODES, packet

PROTO = Path(__file__).resolve().parent.parent.parent / "proto"
DATAGRAM_MAX = 60_000
# One in so many asks for large values, takes none and stays: what it was to be sent is pinned, and
# must be free when it has gone.
HOLDER_EVERY = 12
USER, PASSWORD = "hostile", "hostile too"
KEYS = (b"ks0", b"ks1", b"ks2", b"bigs", b"ns0")  # keys of the differential test's commands


@dataclasses.dataclass(frozen=True)
class Attack:
    number: int
    door: str  # tcp, unix or udp
    pieces: tuple[bytes, ...]  # each sent by itself; for udp each a datagram, with its header
    reads: bool  # what comes back; otherwise nothing is taken off the socket
    # close, reset (SO_LINGER 0), wait for what comes and then close, half (close, then wait), or
    # stay: silent, and open until the round is over.
    ending: str
    pause_s: float  # before a close or a reset: what was asked for is on its way by then
    patience_s: float = 0.15  # without progress for so long, it goes on to its end


def make(seed: str, number: int, doors: tuple[str, ...], locked: bool) -> Attack:
    """Attack `number` of a seed. `locked`: the server wants a password."""
    rng = random.Random(f"{seed}:{number}")
    door = rng.choice(doors)
    if door == "udp" and number % HOLDER_EVERY:
        pieces = [_datagram(rng) for _ in range(rng.choice((1, 1, 3, 8)))]
        return Attack(number, door, tuple(pieces), rng.random() < 0.6,
                      rng.choice(("close", "wait")), 0)
    if number % HOLDER_EVERY == 0:
        data = _greed(rng, 60_000, 100)
        if locked:
            data = right_credentials()[data[0] == 0x80] + data
        return Attack(number, "tcp", (data,), False, "stay", 0, patience_s=5)
    data = _stream(rng)
    if locked:
        data = _credentials(rng) + data
    ending = rng.choice(("close", "reset", "reset", "wait", "half", "stay"))
    if rng.random() < 0.3:
        data = data[: rng.randint(0, len(data))]
    pieces = _cut(rng, data)
    return Attack(number, door, tuple(pieces), ending != "stay" and rng.random() < 0.6, ending,
                  rng.choice((0, 0.003, 0.03)))


# -- where bytes come from --


def _stream(rng: random.Random) -> bytes:
    source = rng.choices((_commands, _seed_text, _greed, _junk), (50, 25, 20, 5))[0]
    data = source(rng)
    if rng.random() < 0.15:
        return data
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        rng.choice(MUTATIONS)(rng, data)
    return bytes(data)


def _commands(rng: random.Random) -> bytes:
    """What one connection says in a stream of the differential test."""
    shape = rng.choice(commands.SHAPES)
    shape = dataclasses.replace(shape, connections=1, protocols=(rng.choice(shape.protocols),))
    stream = streams.make_stream(rng, shape, 4 if shape.big_values else rng.choice((1, 10, 40)))
    return b"".join(part if isinstance(part, bytes) else _token(rng, part) for command in stream
                    for part in command.parts)


def _token(rng: random.Random, token: commands.CasToken) -> bytes:
    number = rng.choice((1, rng.randint(1, 5000), rng.getrandbits(64)))
    return struct.pack(">Q", number) if token.binary else b"%d" % number


def _seed_text(rng: random.Random) -> bytes:
    return b"".join(rng.choices(_seeds(), k=rng.choice((1, 2, 5))))


def _greed(rng: random.Random, sixteens: int = 0, gets: int = 0) -> bytes:
    """A large value, and mostly far more gets of it than a socket holds."""
    key = rng.choice(KEYS)
    value = rng.randbytes(16) * (sixteens or rng.choice((10, 300, 2000, 20_000, 60_000)))
    gets = gets or rng.choice((3, 30, 100))
    if rng.random() < 0.5:
        return (b"set %s 0 0 %d\r\n%s\r\n" % (key, len(value), value)
                + rng.choice((b"get %s\r\n", b"mg %s v k q\r\n", b"gets %s x\r\n")) % key * gets)
    store = packet(OPCODES["setq"], key, bytes(8), value)
    return b"".join(store + packet(OPCODES["getk"], key) * gets + packet(OPCODES["noop"]))


def _junk(rng: random.Random) -> bytes:
    size = rng.choice((1, 24, 300, 3000, 40_000))
    return rng.choice((rng.randbytes(size), bytes(size), b"\x80" + rng.randbytes(size),
                       b"get " + b"k" * size, b"\r\n" * size, b" " * size))


def _datagram(rng: random.Random) -> bytes:
    if rng.random() < 0.2:
        payload = bytearray(rng.choice(_datagram_seeds()))
        for _ in range(rng.randint(0, 2)):
            rng.choice(MUTATIONS)(rng, payload)
        return bytes(payload[:DATAGRAM_MAX])
    odd = lambda usual: rng.choice((usual,) * 6 + (0, 1, 2, 65535))
    header = struct.pack(">HHHH", rng.getrandbits(16), odd(0), odd(1), odd(0))
    datagram = header + _stream(rng)[:DATAGRAM_MAX - len(header)]
    return datagram[: rng.randint(0, 12)] if rng.random() < 0.05 else datagram


def right_credentials() -> list[bytes]:
    """What opens the door: as a line, and as a packet."""
    words = f"{USER} {PASSWORD}".encode()
    return [b"set x 0 0 %d\r\n%s\r\n" % (len(words), words),
            b"".join(packet(OPCODES["sasl_auth"], b"PLAIN", value=_plain()))]


def _plain() -> bytes:
    return f"\0{USER}\0{PASSWORD}".encode()


def _credentials(rng: random.Random) -> bytes:
    """What opens the door, most of the time; or nearly does."""
    line, sasl = right_credentials()
    steps = packet(OPCODES["sasl_list"]) + packet(OPCODES["sasl_step"], b"PLAIN", value=_plain())
    said = bytearray(rng.choice((line, line, sasl, sasl, b"".join(steps) + sasl, b"")))
    if rng.random() < 0.4:
        rng.choice(MUTATIONS)(rng, said)
    return bytes(said)


@functools.cache
def _seeds() -> list[bytes]:
    return [path.read_bytes() for path in sorted(PROTO.glob("[tmb]*/*_seeds/*"))]


@functools.cache
def _datagram_seeds() -> list[bytes]:
    return [path.read_bytes() for path in sorted(PROTO.glob("udp/*_seeds/*"))]


@functools.cache
def _words() -> list[bytes]:
    """The fuzzers' dictionaries: lines of [NAME=]"WORD", WORD with escapes as in C."""
    lines = "\n".join(path.read_text("latin-1") for path in sorted(PROTO.glob("*/*.dict")))
    found = re.findall(r'^[^#"\n]*("(?:[^"\\\n]|\\.)*")', lines, re.MULTILINE)
    return [ast.literal_eval("b" + word) for word in found] + [
        b"flush_all\r\n", b"stats\r\n", b"stats conns\r\n", b"lru_crawler metadump all\r\n",
        b"lru_crawler mgdump all\r\n", b"stats sizes\r\n", b"\0", b"\r\n", b"\n", b"mn\r\n"]


# -- mutations; each changes `data` in place --


def _place(rng: random.Random, data: bytearray) -> int:
    """Mostly near the beginning: there are the lines, behind them the values."""
    return rng.randint(0, min(len(data), rng.choice((64, 512, len(data)))))


def _flip_bits(rng: random.Random, data: bytearray) -> None:
    for _ in range(rng.choice((1, 1, 4))):
        at = _place(rng, data)
        if at < len(data):
            data[at] ^= 1 << rng.randrange(8)


def _set_byte(rng: random.Random, data: bytearray) -> None:
    at = _place(rng, data)
    data[at : at + 1] = bytes([rng.choice((0, 10, 13, 32, 0x80, 0x81, 0xFF, rng.randrange(256)))])


def _cut_out(rng: random.Random, data: bytearray) -> None:
    at = _place(rng, data)
    del data[at : at + rng.choice((1, 2, 8, 24, 300))]


def _double(rng: random.Random, data: bytearray) -> None:
    at = _place(rng, data)
    data[at:at] = data[at : at + rng.choice((1, 8, 24, 100))] * rng.choice((1, 2, 20))


def _put_in(rng: random.Random, data: bytearray) -> None:
    at = _place(rng, data)
    data[at:at] = rng.choice((rng.choice(_words()), rng.choice(_words()), b"k" * 260,
                              bytes(rng.randint(1, 40)), rng.randbytes(rng.randint(1, 9))))


def _swap(rng: random.Random, data: bytearray) -> None:
    at = _place(rng, data)
    data[:] = data[at:] + data[:at]


def _splice(rng: random.Random, data: bytearray) -> None:
    at = _place(rng, data)
    other = rng.choice(_seeds())
    data[at:] = other[rng.randint(0, len(other)) :]


def _wrong_number(rng: random.Random, data: bytearray) -> None:
    """Another number in a line: a length, an exptime, a delta."""
    numbers = list(re.finditer(rb"\d+", data[:4000]))
    if numbers:
        number = rng.choice(numbers)
        near = int(number[0][:9]) + rng.choice((-1, 1, 2))
        data[number.start() : number.end()] = b"%d" % rng.choice(
            (near, 0, -1, 251, 1 << 20, (1 << 20) + 1, 2**31 - 1, 2**31, 2**32, 2**64))


def _wrong_header(rng: random.Random, data: bytearray) -> None:
    """Another size, opcode or magic in a packet."""
    starts = [found.start() for found in re.finditer(b"\x80", data[:4000])]
    at = rng.choice(starts or [0])
    if at + 24 > len(data):
        return
    form, offset = rng.choice((("B", 0), ("B", 1), (">H", 2), ("B", 4), ("B", 5), (">H", 6),
                               (">I", 8), (">Q", 16)))
    bits = 8 * struct.calcsize(form)
    number = struct.unpack_from(form, data, at + offset)[0]
    number = rng.choice((number - 1, number + 1, 0, 1, 250, 251, 2**20, 2**31, 2**bits - 1,
                         rng.getrandbits(bits)))
    struct.pack_into(form, data, at + offset, number & 2**bits - 1)


MUTATIONS = (_flip_bits, _set_byte, _cut_out, _double, _put_in, _swap, _splice, _wrong_number,
             _wrong_header)


def _cut(rng: random.Random, data: bytes) -> list[bytes]:
    """Cuts `data` at random bytes, at every byte where it is short, or not at all."""
    how = rng.choice(("whole", "random", "random", "bytes"))
    if how == "whole":
        return [data]
    if how == "bytes" and len(data) <= 400:
        return [data[at : at + 1] for at in range(len(data))]
    cuts = sorted(rng.randint(0, len(data)) for _ in range(rng.choice((1, 3, 12))))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)])]

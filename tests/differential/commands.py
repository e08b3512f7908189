"""What seeded random streams are made of, and the makers of their text commands.

meta_commands.py and binary_commands.py have the other makers, streams.py puts them together. A
stream is a list of `Command`s. Each belongs to a connection and to a chunk: the commands of one
chunk are sent together, and the next chunk starts when this one is answered. Both marks travel with
the command, so that any sub-list of a stream is a stream as well (that is what shrinking needs).

Everything here is chosen so that the answer does not depend on time or on how the kernel cuts the
bytes:
  * Expiries are never, already over, or far away.
  * Only get and gets lines are longer than 2,048 bytes: whether memcached closes the connection on
    another long line depends on how much of it one read returned. The exception, junk that is
    longer than its read buffer, has a chunk to itself: replies that are still unsent are lost.
  * No fetch of a key that is too long: memcached 1.6.45 then loses replies of earlier commands
    that are still unsent (the conformance suite has the case).
  * A chunk that fetches a key does not change its number downwards afterwards. memcached pads a
    number that lost a digit with blanks, unless a reply still refers to the old item, so the
    outcome would depend on what has been sent already. Keys named `up*` hold numbers that only
    grow; those are fetched and incremented in one pipeline freely.
  * No value is nothing but white space: incr skips that, and memcached then reads on, behind the
    value, whatever an older item has left there.
  * Values stay clear of the last few hundred bytes below the item limit, where the answer depends
    on the size of the server's item header.
"""

from __future__ import annotations

import dataclasses
import functools
import random
from collections.abc import Callable

ITEM_SIZE_MAX = 1024 * 1024
KEY_MAX = 250
FAR_FUTURE = (100_000, 2_592_000, 2_000_000_000, 2_147_483_647)
LONG_GONE = (-1, -2, -2_147_483_648, 2_592_001, 1_000_000_000)
HANG_UP = "hang up"  # the kind of the commands that make the server close; last in their chunk
UINT64_MAX = 2**64 - 1


@dataclasses.dataclass(frozen=True)
class CasToken:
    """Stands for the token of `key`: its latest known one, or one seen `back` changes earlier."""

    key: bytes
    back: int = 0
    binary: bool = False  # eight bytes of a packet, not a number in a line


@dataclasses.dataclass(frozen=True)
class Command:
    kind: str
    connection: int
    chunk: int
    parts: tuple[bytes | CasToken, ...]
    pieces: str = "whole"  # how this command's chunk is cut: whole, random, bytes
    binary: bool = False  # a packet; all commands of a connection are, or none is

    def size_bytes(self) -> int:
        return sum(len(part) if isinstance(part, bytes) else 8 for part in self.parts)


@dataclasses.dataclass(frozen=True)
class Shape:
    """What a stream is made of."""

    name: str
    connections: int = 3
    disjoint: bool = False  # connections use keys of their own and run at the same time
    big_values: bool = False
    chunk_length_max: int = 12
    key_count: int = 5
    # What each connection speaks, over again from the first: text, meta (text and meta commands in
    # the same pipelines) or binary. All have the same keys.
    protocols: tuple[str, ...] = ("text",)

    def protocol_of(self, connection: int) -> str:
        return self.protocols[connection % len(self.protocols)]


SHAPES = (
    Shape("plain"),
    Shape("lonely", connections=1, key_count=3),
    Shape("long pipelines", connections=2, chunk_length_max=150),
    Shape("one key", connections=4, key_count=1, chunk_length_max=6),
    Shape("many keys", connections=4, key_count=40, chunk_length_max=30),
    Shape("disjoint", connections=6, disjoint=True, chunk_length_max=40),
    Shape("big", connections=2, big_values=True, chunk_length_max=6),
    Shape("meta", protocols=("meta",)),
    Shape("binary", protocols=("binary",)),
    Shape("three protocols", connections=4, protocols=("meta", "binary"), key_count=3),
    Shape("long pipelines of meta and binary", connections=2, protocols=("meta", "binary"),
          chunk_length_max=150),
    Shape("disjoint in three protocols", connections=6, protocols=("text", "meta", "binary"),
          disjoint=True, chunk_length_max=40),
    Shape("big in three protocols", protocols=("meta", "binary"), big_values=True,
          chunk_length_max=6),
)


def keys_of(shape: Shape, connection: int) -> list[bytes]:
    """All keys that commands on `connection` may store (the reset between streams removes them)."""
    owner = b"%d" % connection if shape.disjoint else b"s"
    keys = [b"k%s%d" % (owner, i) for i in range(shape.key_count)]
    keys += [b"n%s%d" % (owner, i) for i in range(2)]
    keys += [b"up%s%d" % (owner, i) for i in range(2)]
    keys.append(b"L" + owner + b"x" * (KEY_MAX - 1 - len(owner)))
    if shape.big_values:
        keys.append(b"big" + owner)
    return keys


def packet_keys_of(shape: Shape, connection: int) -> list[bytes]:
    """Keys besides, that no line can hold: for binary connections."""
    owner = b"%d" % connection if shape.disjoint else b"s"
    return [b"two words" + owner, b"\r\n\0\xff" + owner]


def _of_all(keys: Callable[[Shape, int], list[bytes]]) -> list[bytes]:
    return sorted({key for shape in SHAPES for c in range(shape.connections)
                   for key in keys(shape, c)})


@functools.cache
def text_keys() -> list[bytes]:
    return _of_all(keys_of)


@functools.cache
def packet_keys() -> list[bytes]:
    return _of_all(packet_keys_of)


@functools.cache
def key_numbers() -> dict[bytes, int]:
    """All keys, each with its place among them."""
    return {key: number for number, key in enumerate(text_keys() + packet_keys())}


Parts = list[bytes | CasToken]
# Weight, name, and the function that makes one command.
Kind = tuple[int, str, Callable[[], Parts]]


class Maker:
    """Makes the commands of one connection, which speaks text."""

    BINARY = False
    LAST_WORDS = (b"quit\r\n", b"quit\n", b"quit now\r\n")

    def __init__(self, rng: random.Random, shape: Shape, connection: int) -> None:
        self._rng = rng
        self._shape = shape
        self._connection = connection
        keys = keys_of(shape, connection)
        self._plain_keys = [k for k in keys if k[:1] == b"k"]
        self._number_keys = [k for k in keys if k[:1] == b"n"]
        self._rising_keys = [k for k in keys if k[:2] == b"up"]
        self._big_keys = [k for k in keys if k[:3] == b"big"]
        self._keys = self._plain_keys + self._number_keys + [k for k in keys if k[:1] == b"L"]
        self._fetched: set[bytes] = set()
        self._kinds = self._make_kinds()
        self._weights = [weight for weight, _, _ in self._kinds]

    def _make_kinds(self) -> list[Kind]:
        kinds: list[Kind] = [
            (14, "get", self._get),
            (10, "gets", self._gets),
            (4, "gat", self._gat),
            (4, "gats", self._gats),
            (14, "set", self._set),
            (5, "add", self._add),
            (5, "replace", self._replace),
            (6, "append", self._append),
            (6, "prepend", self._prepend),
            (12, "cas", self._cas),
            (8, "incr", self._incr),
            (8, "decr", self._decr),
            (5, "rising", self._rising),
            (7, "delete", self._delete),
            (6, "touch", self._touch),
            (1, "version", lambda: [b"version\r\n"]),
            (1, "verbosity", self._verbosity),
            (2, "mn", lambda: [b"mn\r\n"]),
            (10, "malformed", self._malformed),
            (1, "long get", self._long_get),
        ]
        if not self._shape.disjoint:
            kinds.append((2, "flush_all", self._flush_all))
            kinds.append((1, "flush_all later", self._flush_all_later))
        if self._shape.big_values:
            kinds.append((25, "big", self._big))
        return kinds

    def make_chunk(self, chunk: int) -> list[Command]:
        rng = self._rng
        self._fetched = set()
        length = rng.choice((1, 1, 2, rng.randint(1, self._shape.chunk_length_max)))
        pieces = rng.choice(("whole", "whole", "random", "random", "bytes"))
        commands = []
        for _ in range(length):
            _, kind, make = rng.choices(self._kinds, self._weights)[0]
            parts = tuple(make())
            commands.append(self._command(kind, chunk, parts, pieces))
        hang_up = rng.random()
        if hang_up < 0.01:
            last_words = rng.choice(self.LAST_WORDS)
            commands.append(self._command(HANG_UP, chunk, (last_words,), pieces))
        elif hang_up < 0.015:
            commands = [self._command(HANG_UP, chunk, (self._junk(),), pieces)]
        if pieces == "bytes" and sum(command.size_bytes() for command in commands) > 3000:
            commands = [dataclasses.replace(command, pieces="random") for command in commands]
        return commands

    def _command(self, kind: str, chunk: int, parts: tuple[bytes | CasToken, ...],
                 pieces: str) -> Command:
        return Command(kind, self._connection, chunk, parts, pieces, self.BINARY)

    def _junk(self) -> bytes:
        """What makes the server close; it has a chunk to itself."""
        return b"x" * 40_000

    # -- what commands are made of --

    def _key(self) -> bytes:
        return self._rng.choice(self._keys)

    def _exptime(self) -> bytes:
        rng = self._rng
        exptime = rng.choice((0, 0, 0, 0, rng.choice(FAR_FUTURE), rng.choice(LONG_GONE)))
        return b"%d" % exptime

    def _flags(self) -> bytes:
        rng = self._rng
        return b"%d" % rng.choice((0, 0, 1, 42, 65535, 65536, 2**32 - 1, rng.getrandbits(32)))

    def _noreply(self) -> bytes:
        return b" noreply" if self._rng.random() < 0.15 else b""

    def _value(self) -> bytes:
        rng = self._rng
        shape = rng.random()
        if shape < 0.35:
            return self._number()
        if shape < 0.45:
            return b""
        if shape < 0.55:
            return rng.choice(
                (b"\r\n.", b"\0", b"a\r\nEND\r\n", b"get k\r\n", b"\x80\xff\0\r")
            )
        if shape < 0.92:
            size = rng.randint(1, 120)
        elif shape < 0.985:
            size = rng.randint(121, 4200)
        else:
            size = rng.choice((16384, 16383, 16385, rng.randint(15000, 40000)))
        return self._filling(size)

    def _filling(self, size: int) -> bytes:
        # Recognisable at any offset, so that a shifted or torn value shows in a failure.
        start = self._rng.randint(0, 9999)
        text = b"".join(b"%06d|" % (start + i) for i in range(size // 7 + 1))
        return text[:size]

    def _number(self) -> bytes:
        rng = self._rng
        return rng.choice(
            (
                b"0",
                b"1",
                b"9",
                b"10",
                b"99",
                b"100",
                b"007",
                b"1 ",
                b"18446744073709551615",
                b"18446744073709551614",
                b"18446744073709551616",
                b"9999999999999999999999",
                b"-1",
                b"+5",
                b"12a",
                b"%d" % rng.getrandbits(rng.choice((8, 32, 63))),
            )
        )

    def _delta(self) -> bytes:
        rng = self._rng
        large = rng.choice((rng.getrandbits(64), UINT64_MAX))
        return rng.choice((b"0", b"1", b"1", b"9", b"10", b"1000", b"%d" % large))

    # -- one function a kind; each gives the bytes of one command --

    def _fetch(self, name: bytes, before: bytes = b"") -> Parts:
        rng = self._rng
        pool = self._keys + self._rising_keys
        keys = rng.choices(pool, k=rng.choice((1, 1, 1, 2, 3, 7)))
        self._fetched.update(keys)
        return [name + b" " + before + b" ".join(keys) + b"\r\n"]

    def _get(self) -> Parts:
        return self._fetch(b"get")

    def _gets(self) -> Parts:
        return self._fetch(b"gets")

    def _gat(self) -> Parts:
        return self._fetch(b"gat", self._exptime() + b" ")

    def _gats(self) -> Parts:
        return self._fetch(b"gats", self._exptime() + b" ")

    def _long_get(self) -> Parts:
        rng = self._rng
        keys = rng.choices(self._keys + [b"missing%d" % rng.randint(0, 99)], k=rng.randint(25, 400))
        self._fetched.update(keys)
        return [rng.choice((b"get ", b"gets ")) + b" ".join(keys) + b"\r\n"]

    def _store(self, name: bytes) -> Parts:
        key, value = self._key(), self._value()
        if key in self._number_keys and self._rng.random() < 0.8:
            value = self._number()
        line = (name, key, self._flags(), self._exptime(), b"%d" % len(value))
        return [b" ".join(line) + self._noreply() + b"\r\n" + value + b"\r\n"]

    def _set(self) -> Parts:
        return self._store(b"set")

    def _add(self) -> Parts:
        return self._store(b"add")

    def _replace(self) -> Parts:
        return self._store(b"replace")

    def _append(self) -> Parts:
        return self._store(b"append")

    def _prepend(self) -> Parts:
        return self._store(b"prepend")

    def _cas(self) -> Parts:
        rng = self._rng
        key, value = self._key(), self._value()
        line = b"cas %s %s %s %d " % (key, self._flags(), self._exptime(), len(value))
        token: bytes | CasToken
        if rng.random() < 0.85:
            token = CasToken(key, back=rng.choice((0, 0, 0, 0, 1, 2)))
        else:
            token = rng.choice((b"18446744073709551615", b"9223372036854775808"))
        return [line, token, self._noreply() + b"\r\n" + value + b"\r\n"]

    def _incr(self) -> Parts:
        return self._arithmetic(b"incr")

    def _decr(self) -> Parts:
        return self._arithmetic(b"decr")

    def _arithmetic(self, name: bytes) -> Parts:
        keys = [key for key in self._keys if key not in self._fetched]
        numbers = [key for key in self._number_keys if key not in self._fetched]
        pool = numbers if numbers and self._rng.random() < 0.7 else keys
        key = self._rng.choice(pool or [b"missing"])
        return [b"%s %s %s%s\r\n" % (name, key, self._delta(), self._noreply())]

    def _rising(self) -> Parts:
        rng = self._rng
        key = rng.choice(self._rising_keys)
        action = rng.random()
        if action < 0.2:
            number = b"%d" % rng.choice((0, 5, 98, 999_999, 2**40))
            return [b"set %s 0 0 %d%s\r\n%s\r\n" % (key, len(number), self._noreply(), number)]
        if action < 0.7:
            return [b"incr %s %d%s\r\n" % (key, rng.choice((0, 1, 9, 123)), self._noreply())]
        if action < 0.9:
            return [b"gets %s\r\n" % key]
        return [b"delete %s%s\r\n" % (key, self._noreply())]

    def _delete(self) -> Parts:
        return [b"delete %s%s\r\n" % (self._key(), self._noreply())]

    def _touch(self) -> Parts:
        return [b"touch %s %s%s\r\n" % (self._key(), self._exptime(), self._noreply())]

    def _flush_all(self) -> Parts:
        delay = self._rng.choice((b"", b"", b"", b" 0", b" -1"))
        return [b"flush_all" + delay + self._noreply() + b"\r\n"]

    def _flush_all_later(self) -> Parts:
        delay = self._rng.choice((b" 100000", b" 2000000000"))
        return [b"flush_all" + delay + self._noreply() + b"\r\n"]

    def _verbosity(self) -> Parts:
        argument = self._rng.choice((b"0", b"1", b"0 noreply"))
        return [b"verbosity " + argument + b"\r\n"]

    def _big(self) -> Parts:
        rng = self._rng
        key = rng.choice(self._big_keys)
        action = rng.random()
        if action < 0.45:
            return [rng.choice((b"get ", b"gets ")) + key + b"\r\n"]
        if action < 0.5:
            return [b"delete " + key + b"\r\n"]
        # Sizes and additions are multiples of 4 KB, so a sum is never near the item limit: at
        # most 255 * 4 KB, or at least the limit itself.
        name = rng.choice((b"set", b"set", b"append", b"prepend"))
        unit = 4096
        if name == b"set":
            pages_max = ITEM_SIZE_MAX // unit
            pages = rng.choice((16, 64, 127, 128, 129, pages_max - 1, pages_max, 300))
        else:
            pages = rng.choice((1, 4, 32, 128))
        value = self._filling(pages * unit)
        return [
            b"%s %s %s 0 %d%s\r\n%s\r\n"
            % (name, key, self._flags(), len(value), self._noreply(), value)
        ]

    # -- malformed lines --

    def _malformed(self) -> Parts:
        rng = self._rng
        key = self._key()
        if rng.random() < 0.15:
            return [self._wrong_length(key)]
        if rng.random() < 0.15:
            return [self._garbage()]
        line = rng.choice(_MALFORMED_LINES)
        long_key = b"y" * (KEY_MAX + rng.choice((1, 1, 2, 50)))
        if b"%K" in line and line.split()[0] in (b"get", b"gets", b"gat", b"gats"):
            self._fetched.add(key)
        is_storage = line.split()[:1] and line.split()[0] in _STORAGE_NAMES
        line = line.replace(b"%K", key).replace(b"%L", long_key)
        line += rng.choice((b"\r\n", b"\r\n", b"\r\n", b"\n"))
        # Depending on what is wrong, the server takes more bytes for data or does not. These lines
        # are there to be taken, so that the stream is in step again after them.
        return [line + (b"mn\r\n" * 3 if is_storage else b"")]

    def _wrong_length(self, key: bytes) -> bytes:
        """A storage command whose data block is not as long as announced."""
        rng = self._rng
        name = rng.choice((b"set", b"add", b"replace", b"append", b"prepend"))
        noreply = self._noreply()
        if rng.random() < 0.5:
            data = b"abcdefghij"
            announced = rng.randint(0, len(data) - 1)
            return b"%s %s 0 0 %d%s\r\n%s\r\n" % (name, key, announced, noreply, data)
        # Too short: it takes in the lines that follow, all of which belong to this command, so
        # that the stream is in step again where it ends.
        announced = rng.randint(4, 60)
        filler = b"mn\r\n" * (announced // 4 + 3)
        return b"%s %s 0 0 %d%s\r\nabc\r\n%s" % (name, key, announced, noreply, filler)

    def _garbage(self) -> bytes:
        """A line of random words. It starts with a letter that begins no command."""
        rng = self._rng
        alphabet = b"abcXYZ019_-+ \t\x01\x7f\x80\xff\\\"%"
        tail = bytes(rng.choices(alphabet, k=rng.randint(0, 40)))
        return rng.choice((b"z", b"X", b"k", b"_")) + tail + b"\r\n"


_STORAGE_NAMES = (b"set", b"add", b"replace", b"append", b"prepend", b"cas")

# %K is a key of the stream, %L a key that is too long. Lines that announce a data block carry it.
_MALFORMED_LINES = (
    b"",
    b" ",
    b"\r",
    b"get",
    b"get ",
    b"gets",
    b"gets  ",
    b"get %K  %K",
    b" get %K",
    b"  gets %K  ",
    b"get %K ",
    b"GET %K",
    b"gett %K",
    b"get\t%K",
    b"gat",
    b"gat 0",
    b"gat abc %K",
    b"gat %K",
    b"gats",
    b"gats 0",
    b"gats x %K",
    b"gat 99999999999 %K",
    b"set",
    b"set %K",
    b"set %K 0",
    b"set %K 0 0",
    b"set %K 0 0 abc",
    b"set %K 0 0 -1",
    b"set %K 0 0 -1\r\nabc",
    b"set %K 0 0 3x\r\nabc",
    b"set %K abc 0 3\r\nabc",
    b"set %K -1 0 3\r\nabc",
    b"set %K 4294967295 0 3\r\nabc",
    b"set %K 4294967296 0 3\r\nabc",
    b"set %K 0 abc 3\r\nabc",
    b"set %K 0 99999999999 3\r\nabc",
    b"set %K 0 4294967295 3\r\nabc",
    b"set %K 0 0 99999999999",
    b"set %K 0 0 2147483646",
    b"set %K 0 0 2147483647",
    b"set %K 0 0 2147483648",
    b"set %K 0 0 4294967296",
    b"set %K 0 0 18446744073709551619\r\nabc",
    b"set %L 0 0 3\r\nabc",
    b"add %L 0 0 3 noreply\r\nabc",
    b"set %K 0 0 3 4\r\nabc",
    b"set %K 0 0 3 norepl\r\nabc",
    b"set %K 0 0 3 noreply x\r\nabc",
    b"set %K 0 0 3 4 5 6 7\r\nabc",
    b"set  %K  1  0  3\r\nabc",
    b"set %K 0 0 3 \r\nabc",
    b"set %K 0 0 03\r\nabc",
    b"set %K +1 +0 +3\r\nabc",
    b"SET %K 0 0 3\r\nabc",
    b"append %K 0 0",
    b"append %K x y 3\r\nabc",
    b"prepend %L 0 0 3\r\nabc",
    b"cas",
    b"cas %K 0 0 3",
    b"cas %K 0 0 3\r\nabc",
    b"cas %K 0 0 3 abc\r\nabc",
    b"cas %K 0 0 3 -1\r\nabc",
    b"cas %K 0 0 3 0\r\nabc",
    b"cas %K 0 0 3 noreply\r\nabc",
    b"cas %K 0 0 3 99999999999999999999\r\nabc",
    b"cas %K 0 0 abc 1",
    b"cas %L 0 0 3 1\r\nabc",
    b"incr",
    b"incr %K",
    b"incr %K abc",
    b"incr %K -1",
    b"incr %K 18446744073709551616",
    b"incr %K 1x",
    b"incr %L 1",
    b"incr missing 1 2 3",
    b"decr",
    b"decr %K",
    b"decr %K abc",
    b"decr %K noreply",
    b"decr missing 1 norepl",
    b"delete",
    b"delete %L",
    b"delete %K 0",
    b"delete %K 1",
    b"delete %K 0 noreply",
    b"delete %K 1 noreply",
    b"delete %K abc",
    b"delete %K a b c",
    b"touch",
    b"touch %K",
    b"touch %K abc",
    b"touch %K 0 x",
    b"touch %L 0",
    b"touch %K noreply",
    b"touch %K 0 1 2 3",
    b"flush_allx",
    b"flush_al",
    b"verbosity",
    b"verbosity foo",
    b"verbosity 0 0 0",
    b"versions",
    b"mnx",
    b"quitx",
    b"foo bar baz",
    b"foo noreply",
    b"noreply",
    b"VALUE %K 0 3",
    b"END",
)

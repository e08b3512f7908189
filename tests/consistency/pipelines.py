"""Long pipelines on keys of one's own: every byte of the answer is known in advance.

A connection must read its own writes, and its replies must come in the order of its requests,
whichever shards its keys live on and however many other connections do the same.
"""

from __future__ import annotations

import random

from traffic import Connection, drive


class _Owner:
    """The one connection that uses its keys, with a model of what they hold."""

    def __init__(self, name: bytes, rng: random.Random) -> None:
        self.rng = rng
        self.keys = [b"%s-%d" % (name, i) for i in range(12)]
        self.counters = [b"%s-n%d" % (name, i) for i in range(3)]
        self.values: dict[bytes, bytes] = {}

    def pipeline(self, length: int) -> tuple[bytes, bytes]:
        """Requests and the exact replies to them."""
        pairs = [self.command() for _ in range(length)]
        return b"".join(request for request, _ in pairs), b"".join(reply for _, reply in pairs)

    def value(self) -> bytes:
        rng = self.rng
        size = rng.choice((0, 1, 10, 100, 100, 1000, rng.randint(0, 30_000)))
        return (b"%d," % rng.getrandbits(60) * (size // 8 + 1))[:size]

    def command(self) -> tuple[bytes, bytes]:
        rng, values = self.rng, self.values
        key = rng.choice(self.keys)
        kind = rng.choices(
            ("set", "get", "multi", "add", "replace", "append", "prepend", "delete", "incr",
             "reset", "touch", "noise"),
            (20, 25, 6, 6, 5, 6, 4, 7, 14, 2, 3, 2),
        )[0]
        if kind == "get":
            return b"get %s\r\n" % key, self.shown([key]) + b"END\r\n"
        if kind == "multi":
            keys = rng.choices(self.keys + self.counters, k=rng.randint(2, 30))
            return b"get %s\r\n" % b" ".join(keys), self.shown(keys) + b"END\r\n"
        if kind == "delete":
            found = values.pop(key, None) is not None
            return self.maybe_quiet(b"delete " + key, b"DELETED" if found else b"NOT_FOUND")
        if kind == "touch":
            reply = b"TOUCHED" if key in values else b"NOT_FOUND"
            return self.maybe_quiet(b"touch %s 1000" % key, reply)
        if kind == "noise":
            return rng.choice(((b"mn\r\n", b"MN\r\n"), (b"bogus\r\n", b"ERROR\r\n")))
        if kind == "incr":
            # Only up: a number that gets shorter is padded or not, by what is still unsent.
            key = rng.choice(self.counters)
            if key not in values:
                return self.maybe_quiet(b"incr %s 1" % key, b"NOT_FOUND")
            amount = rng.choice((0, 1, 7, 1000))
            values[key] = b"%d" % (int(values[key]) + amount)
            return self.maybe_quiet(b"incr %s %d" % (key, amount), values[key])
        if kind == "reset":
            key = rng.choice(self.counters)
            values[key] = b"%d" % rng.choice((0, 8, 95, 999_990))
            return self.stored(b"set", key, values[key], b"STORED")
        return self.store(kind.encode(), key)

    def store(self, name: bytes, key: bytes) -> tuple[bytes, bytes]:
        values, value = self.values, self.value()
        old = values.get(key)
        if name in (b"append", b"prepend"):
            value = value[:100]
        allowed = {b"set": True, b"add": old is None}.get(name, old is not None)
        if old is not None and len(old) > 100_000 and name in (b"append", b"prepend"):
            name = b"set"
        if allowed:
            values[key] = {b"append": (old or b"") + value,
                           b"prepend": value + (old or b"")}.get(name, value)
        return self.stored(name, key, value, b"STORED" if allowed else b"NOT_STORED")

    def stored(self, name: bytes, key: bytes, value: bytes, reply: bytes) -> tuple[bytes, bytes]:
        quiet = self.rng.random() < 0.2
        request = b"%s %s 0 0 %d%s\r\n%s\r\n" % (
            name, key, len(value), b" noreply" if quiet else b"", value
        )
        return request, b"" if quiet else reply + b"\r\n"

    def maybe_quiet(self, request: bytes, reply: bytes) -> tuple[bytes, bytes]:
        if self.rng.random() < 0.2:
            return request + b" noreply\r\n", b""
        return request + b"\r\n", reply + b"\r\n"

    def shown(self, keys: list[bytes]) -> bytes:
        return b"".join(
            b"VALUE %s 0 %d\r\n%s\r\n" % (key, len(self.values[key]), self.values[key])
            for key in keys
            if key in self.values
        )


def run(port: int, seed: int, process: int, connections: int, pipelines: int) -> str:
    """Plays `pipelines` pipelines on each connection; what was answered wrongly, or ""."""
    owners = [
        _Owner(b"own%d.%d" % (process, i), random.Random(f"{seed}/{process}/{i}"))
        for i in range(connections)
    ]
    lines = [Connection(port) for _ in owners]
    left = [pipelines] * connections
    expected = [b""] * connections

    def next_batch(number: int) -> bytes | None:
        if left[number] == 0:
            return None
        left[number] -= 1
        length = owners[number].rng.choice((1, 5, 30, 200))
        request, reply = owners[number].pipeline(length)
        end = b"mn\r\n"  # a pipeline of noreply commands alone needs an answer to wait for
        expected[number] = reply + b"MN\r\n"
        return request + end

    def on_bytes(number: int) -> bool:
        got, wanted = lines[number].incoming, expected[number]
        if len(got) < len(wanted) and wanted.startswith(got):
            return False
        if got != wanted:
            raise AssertionError(_difference(bytes(got), wanted, number))
        got.clear()
        return True

    try:
        drive(lines, next_batch, on_bytes)
    except (AssertionError, OSError) as fault:
        return f"process {process}: {fault}"
    finally:
        for line in lines:
            line.close()
    return ""


def _difference(got: bytes, wanted: bytes, number: int) -> str:
    at = next((i for i, (a, b) in enumerate(zip(got, wanted)) if a != b), len(wanted))
    around = slice(max(0, at - 120), at + 120)
    return (f"connection {number}: the answer differs at byte {at} of {len(wanted)}\n"
            f"      wanted ...{wanted[around]!r}\n      got    ...{got[around]!r}")

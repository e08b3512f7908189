"""Meta commands, mixed with the text commands of the same connection.

Besides what commands.py says, for the answer's sake:
  * What asks for a CAS asks for its key too, for tokens are told apart by key (replies.py).
  * A lifetime that is over is given to ms alone: mg and ma show how long ago that was, as a time.
  * A CAS of the client's own (E) is larger than any that a server hands out by itself: ms with C
    and I depends on which of two is larger.
"""

from __future__ import annotations

import base64

from commands import FAR_FUTURE, LONG_GONE, UINT64_MAX, CasToken, Kind, Maker, Parts

OWN_CAS_MIN = 2**63


class MetaMaker(Maker):
    def _make_kinds(self) -> list[Kind]:
        return super()._make_kinds() + [
            (40, "mg", self._mg),
            (40, "ms", self._ms),
            (25, "ma", self._ma),
            (20, "md", self._md),
            (6, "me", self._me),
            (10, "malformed meta", self._malformed_meta),
        ]

    def _far(self) -> bytes:
        return b"%d" % self._rng.choice((0, *FAR_FUTURE))

    def _command_of(self, name: bytes, key: bytes, size: bytes, flags: Parts, data: bytes) -> Parts:
        """Puts the flags behind the key, in any order; some of them are for everyone."""
        rng = self._rng
        if rng.random() < 0.2 and len(key) < 180:
            key = base64.b64encode(key)
            flags = flags + [b"b"]
        for flag, chance in ((b"k", 0.3), (b"q", 0.2), (b"O%d" % rng.randint(0, 999), 0.3),
                             (b"P1", 0.03), (b"Lpath/", 0.03)):
            if rng.random() < chance:
                flags = flags + [flag]
        if b"c" in flags and b"k" not in flags:
            flags = flags + [b"k"]
        rng.shuffle(flags)
        parts: Parts = [name + b" " + key + size]
        for flag in flags:
            parts += [b" C", flag] if isinstance(flag, CasToken) else [b" " + flag]
        return parts + [b"\r\n" + data]

    def _some(self, *flags: tuple[float, bytes]) -> Parts:
        return [flag for chance, flag in flags if self._rng.random() < chance]

    def _compared(self, key: bytes, chance: float) -> Parts:
        """Perhaps C with a CAS that may be the item's."""
        if self._rng.random() >= chance:
            return []
        return [CasToken(key, back=self._rng.choice((0, 0, 0, 1, 2)))]

    def _own_cas(self) -> bytes:
        return b"E%d" % self._rng.randint(OWN_CAS_MIN, OWN_CAS_MIN + 2**62)

    def _mg(self) -> Parts:
        rng = self._rng
        key = rng.choice(self._keys + self._rising_keys)
        self._fetched.add(key)
        flags = self._some(
            (0.6, b"v"), (0.3, b"f"), (0.3, b"s"), (0.3, b"t"), (0.3, b"c"), (0.3, b"h"),
            (0.2, b"l"), (0.1, b"u"), (0.1, b"T" + self._far()), (0.1, b"N" + self._far()),
            (0.1, b"R%d" % rng.choice((10, 50_000, 150_000, 3_000_000))), (0.05, self._own_cas()))
        return self._command_of(b"mg", key, b"", flags, b"")

    def _ms(self) -> Parts:
        rng = self._rng
        key, value = self._key(), self._value()
        if key in self._number_keys and rng.random() < 0.8:
            value = self._number()
        mode = rng.choice((b"", b"", b"", b"MS", b"MA", b"MP", b"MR", b"ME", b"MSET", b"MAPPEND"))
        lifetime = rng.choice((0, 0, *FAR_FUTURE, rng.choice(LONG_GONE)))
        flags = self._some(
            (0.4, b"F" + self._flags()), (0.3, b"T%d" % lifetime), (0.3, b"c"), (0.2, b"s"),
            (0.1, self._own_cas()), (0.1, b"I"), (0.1, b"N" + self._far()))
        if mode:
            flags.append(mode)
        flags += self._compared(key, 0.25)
        return self._command_of(b"ms", key, b" %d" % len(value), flags, value + b"\r\n")

    def _ma(self) -> Parts:
        rng = self._rng
        # As with incr and decr: no key whose value an unsent reply may refer to.
        numbers = [key for key in self._number_keys if key not in self._fetched]
        others = [key for key in self._keys if key not in self._fetched]
        key = rng.choice((numbers if rng.random() < 0.7 else others) or [b"missing"])
        flags = self._some(
            (0.5, b"v"), (0.2, b"t"), (0.3, b"c"), (0.5, b"D" + self._delta()),
            (0.2, b"N" + self._far()), (0.3, b"J%d" % rng.choice((0, 9, 100, UINT64_MAX))),
            (0.1, b"T" + self._far()), (0.1, self._own_cas()),
            (0.5, rng.choice((b"MI", b"MD", b"M+", b"M-", b"MINCR", b"MDECR"))))
        flags += self._compared(key, 0.15)
        if key == b"missing":
            flags = [flag for flag in flags if not isinstance(flag, bytes) or flag[:1] != b"N"]
        return self._command_of(b"ma", key, b"", flags, b"")

    def _md(self) -> Parts:
        key = self._key()
        flags = self._some(
            (0.5, b"I"), (0.2, b"x"), (0.2, b"T" + self._far()), (0.1, self._own_cas()),
            (0.1, b"F" + self._flags()))
        flags += self._compared(key, 0.25)
        return self._command_of(b"md", key, b"", flags, b"")

    def _me(self) -> Parts:
        return [b"me %s\r\n" % self._rng.choice(self._keys + self._rising_keys)]

    def _malformed_meta(self) -> Parts:
        rng = self._rng
        key = self._key()
        line = rng.choice(_MALFORMED_LINES)
        if line.startswith(b"mg"):
            self._fetched.add(key)
        line = line.replace(b"%K", key).replace(b"%L", b"y" * rng.choice((251, 252, 300)))
        # Lines of ms may take what follows for their data, as in commands.py.
        return [line + b"\r\n" + (b"mn\r\n" * 3 if line.startswith(b"ms") else b"")]


# %K is a key of the stream, %L a key that is too long.
_MALFORMED_LINES = (
    b"mg",
    b"mg ",
    b"mg %K ?",
    b"mg %K 5",
    b"mg %K S5",
    b"mg %K Tx",
    b"mg %K Nx",
    b"mg %K Rx",
    b"mg %K Jx",
    b"mg %K v v",
    b"mg %K q v v",
    b"mg %K vs",
    b"mg %K O" + b"x" * 31,
    b"md %K O" + b"x" * 32,
    b"mg %K " + b"v " * 20,
    b"mg Zm8 b",
    b"mg Zm9v=x b",
    b"mg  %K  v",
    b"MG %K v",
    b"ms",
    b"ms %K",
    b"ms %K x",
    b"ms %K S3\r\nabc",
    b"ms %K -1",
    b"ms %K 3 Mx\r\nabc",
    b"ms %K 3 M\r\nabc",
    b"ms %K 3 Ms\r\nabc",
    b"ms %K 3 Mappend q\r\nabc",
    b"ms %K 3 Tx\r\nabc",
    b"ms %K 3 Fx\r\nabc",
    b"ms %K 3 Cx\r\nabc",
    b"ms %K 3 Ex\r\nabc",
    b"ms %K 3 q v v\r\nabc",
    b"ms %K 3 T0 T0\r\nabc",
    b"ms %K 3\r\nabcd",
    b"ms %K 3 q\r\nabcdefgh",
    b"ms %L 3\r\nabc",
    b"ms %K 03\r\nabc",
    b"ms %K 3 ?\r\nabc",
    b"md",
    b"md %K q q",
    b"md %K Cx",
    b"md %K Tx",
    b"md %K v",
    b"md %L",
    b"md %L q",
    b"ma",
    b"ma missing v v",
    b"ma missing Mx",
    b"ma missing Mi q",
    b"ma missing Dx",
    b"ma missing Jx",
    b"ma missing Nx",
    b"ma %L",
    b"me",
    b"mn x",
    b"mx %K",
    b"m",
)

"""Packets of the binary protocol, on connections of their own.

A packet's opaque ends in the number of its key (commands.key_numbers): answers mostly come without
the key, and CAS tokens are told apart by it. What makes the server close has a chunk to itself.
"""

from __future__ import annotations

import struct

from commands import (FAR_FUTURE, ITEM_SIZE_MAX, KEY_MAX, UINT64_MAX, CasToken, Kind, Maker, Parts,
                      key_numbers, packet_keys_of)

HEADER = struct.Struct(">BBHBBHII")  # and the CAS
KEY_NUMBER_BITS = 12
OPCODES = {
    name: number
    for number, name in enumerate(
        "get set add replace delete incr decr quit flush getq noop version getk getkq append "
        "prepend stat setq addq replaceq deleteq incrq decrq quitq flushq appendq prependq "
        "verbosity touch gat gatq - sasl_list sasl_auth sasl_step gatk gatkq".split()
    )
}
_CREATES_NOTHING = 0xFFFFFFFF  # incr's expiry that says so
# Its exptimes have no sign: what is over is so by the clock.
_EXPTIMES = (0, 0, 0, 0, *FAR_FUTURE, 2_592_001, 1_000_000_000)


def packet(opcode: int, key: bytes = b"", extras: bytes = b"", value: bytes = b"", opaque: int = 0,
           cas: int | CasToken = 0, magic: int = 0x80, key_size: int | None = None,
           body_size: int | None = None) -> Parts:
    header = HEADER.pack(magic, opcode, len(key) if key_size is None else key_size, len(extras), 0,
                         0, len(extras) + len(key) + len(value) if body_size is None else body_size,
                         opaque)
    token = cas if isinstance(cas, CasToken) else struct.pack(">Q", cas)
    return [header, token, extras + key + value]


class BinaryMaker(Maker):
    BINARY = True
    LAST_WORDS = tuple(b"".join(packet(OPCODES[name])) for name in ("quit", "quitq"))

    def _make_kinds(self) -> list[Kind]:
        self._keys = self._keys + packet_keys_of(self._shape, self._connection)
        kinds: list[Kind] = [
            (30, "binary get", self._binary_get),
            (12, "binary gat", self._binary_gat),
            (6, "binary touch", self._binary_touch),
            (30, "binary store", self._binary_store),
            (12, "binary append", self._binary_append),
            (16, "binary incr", self._binary_arithmetic),
            (8, "binary delete", self._binary_delete),
            (3, "binary noop", lambda: self._packet("noop")),
            (1, "binary version", lambda: self._packet("version")),
            (2, "binary unknown", self._binary_unknown),
        ]
        if not self._shape.disjoint:
            kinds.append((1, "binary flush", self._binary_flush))
        if self._shape.big_values:
            kinds.append((25, "binary big", self._binary_big))
        return kinds

    def _opaque(self, key: bytes) -> int:
        number = key_numbers().get(key, (1 << KEY_NUMBER_BITS) - 1)
        return self._rng.getrandbits(31 - KEY_NUMBER_BITS) << KEY_NUMBER_BITS | number

    def _packet(self, name: str, key: bytes = b"", **fields) -> Parts:
        return packet(OPCODES[name], key, opaque=self._opaque(key), **fields)

    def _quiet(self, name: str) -> str:
        return name + ("q" if self._rng.random() < 0.4 else "")

    def _compared_cas(self, key: bytes, chance: float) -> int | CasToken:
        rng = self._rng
        if rng.random() >= chance:
            return 0
        if rng.random() < 0.15:
            return rng.choice((UINT64_MAX, 2**63))
        return CasToken(key, back=rng.choice((0, 0, 0, 1, 2)), binary=True)

    def _exptime_bytes(self) -> bytes:
        return struct.pack(">I", self._rng.choice(_EXPTIMES))

    # -- one function a kind, as in commands.py --

    def _binary_get(self) -> Parts:
        key = self._rng.choice(self._keys + self._rising_keys)
        self._fetched.add(key)
        return self._packet(self._rng.choice(("get", "getq", "getk", "getkq")), key)

    def _binary_gat(self) -> Parts:
        key = self._rng.choice(self._keys + self._rising_keys)
        self._fetched.add(key)
        return self._packet(self._rng.choice(("gat", "gatq", "gatk", "gatkq")), key,
                            extras=self._exptime_bytes())

    def _binary_touch(self) -> Parts:
        return self._packet("touch", self._key(), extras=self._exptime_bytes())

    def _binary_store(self) -> Parts:
        rng = self._rng
        key, value = self._key(), self._value()
        if key in self._number_keys and rng.random() < 0.8:
            value = self._number()
        name = self._quiet(rng.choice(("set", "set", "set", "add", "replace")))
        return self._packet(name, key, value=value, cas=self._compared_cas(key, 0.3),
                            extras=struct.pack(">I", int(self._flags())) + self._exptime_bytes())

    def _binary_append(self) -> Parts:
        key = self._key()
        name = self._quiet(self._rng.choice(("append", "prepend")))
        return self._packet(name, key, value=self._value(), cas=self._compared_cas(key, 0.2))

    def _binary_arithmetic(self) -> Parts:
        rng = self._rng
        # As with the text protocol's: no key whose value an unsent reply may refer to.
        numbers = [key for key in self._number_keys if key not in self._fetched]
        others = [key for key in self._keys if key not in self._fetched]
        key = rng.choice((numbers if rng.random() < 0.8 else others) or [b"missing"])
        exptime = rng.choice((0, _CREATES_NOTHING, _CREATES_NOTHING, *FAR_FUTURE))
        if key == b"missing":
            exptime = _CREATES_NOTHING
        initial = rng.choice((0, 5, 100, UINT64_MAX))
        return self._packet(
            self._quiet(rng.choice(("incr", "decr"))), key, cas=self._compared_cas(key, 0.15),
            extras=struct.pack(">QQI", min(int(self._delta()), UINT64_MAX), initial, exptime))

    def _binary_delete(self) -> Parts:
        key = self._key()
        return self._packet(self._quiet("delete"), key, cas=self._compared_cas(key, 0.3))

    def _binary_flush(self) -> Parts:
        exptime = self._rng.choice((None, 0, 100_000, 2_000_000_000))
        return self._packet(self._quiet("flush"),
                            extras=b"" if exptime is None else struct.pack(">I", exptime))

    def _binary_unknown(self) -> Parts:
        rng = self._rng
        opcode = rng.choice((OPCODES["verbosity"], OPCODES["sasl_list"], 0x50, 0xFF))
        return packet(opcode, opaque=self._opaque(b""))

    def _binary_big(self) -> Parts:
        rng = self._rng
        key = rng.choice(self._big_keys)
        if rng.random() < 0.5:
            return self._packet(rng.choice(("get", "getkq")), key)
        # As with the text protocol's: sums are never near the item limit.
        name = rng.choice(("set", "set", "append", "prepend"))
        unit = 4096
        pages_max = ITEM_SIZE_MAX // unit
        pages = rng.choice((16, 64, 127, 128, 129, pages_max - 1, pages_max, 300)
                           if name == "set" else (1, 4, 32, 128))
        return self._packet(self._quiet(name), key, value=self._filling(pages * unit),
                            extras=struct.pack(">II", 7, 0) if name == "set" else b"")

    def _junk(self) -> bytes:
        # All with the right magic: on a new connection the first byte chooses the protocol.
        key = self._key()
        opaque = self._opaque(key)
        eight = bytes(8)
        parts = self._rng.choice((
            lambda: packet(OPCODES["get"], key, opaque=opaque, body_size=1),
            lambda: packet(0x50, key, opaque=opaque, body_size=0),
            lambda: packet(OPCODES["get"], opaque=opaque),
            lambda: packet(OPCODES["get"], b"k" * (KEY_MAX + 1), opaque=opaque),
            lambda: packet(OPCODES["setq"], b"k" * (KEY_MAX + 1), eight, b"v", opaque=opaque),
            lambda: packet(OPCODES["getq"], key, b"abcd", opaque=opaque),
            lambda: packet(OPCODES["getkq"], key, value=b"x", opaque=opaque),
            lambda: packet(OPCODES["set"], key, value=b"value", opaque=opaque),
            lambda: packet(OPCODES["setq"], key, eight + b"abcd", opaque=opaque),
            lambda: packet(OPCODES["incr"], key, value=b"x", opaque=opaque),
            lambda: packet(OPCODES["append"], key, b"abcd", b"x", opaque=opaque),
            lambda: packet(OPCODES["touch"], key, opaque=opaque),
            lambda: packet(OPCODES["noop"], value=b"x", opaque=opaque),
            lambda: packet(OPCODES["flush"], key, opaque=opaque),
            lambda: packet(OPCODES["flushq"], extras=eight, opaque=opaque),
        ))()
        return b"".join(part for part in parts if isinstance(part, bytes))

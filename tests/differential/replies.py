"""Replies in a form in which two servers can be compared byte for byte.

Some things may differ between servers that both are right: the numbers used as CAS tokens, the
version text, times that pass while a stream is played, and what `me` says of an item's place in
memory. Tokens become `#n`, the n-th different token this server has shown for that key: what
clients may rely on is only whether two tokens are equal. Lifetimes keep their order of magnitude,
which tells those that streams use apart.
"""

from __future__ import annotations

import base64
import binascii
import collections
import functools
import re
import struct

from binary_commands import HEADER, KEY_NUMBER_BITS, OPCODES
from commands import key_numbers

_META_CODES = (b"VA", b"HD", b"EN", b"NS", b"EX", b"NF")
_OPCODE_NAMES = {number: name for name, number in OPCODES.items()}


class CasTokens:
    """The tokens that one server has shown, by key, in the order in which they first appeared."""

    def __init__(self) -> None:
        self._seen: dict[bytes, list[bytes]] = collections.defaultdict(list)

    def number_of(self, key: bytes, token: bytes) -> int:
        tokens = self._seen[key]
        if token not in tokens:
            tokens.append(token)
        return tokens.index(token)

    def get(self, key: bytes, back: int) -> bytes | None:
        tokens = self._seen.get(key, [])
        return tokens[-1 - back] if back < len(tokens) else None


def canonical(reply: bytes, tokens: CasTokens) -> bytes:
    """`reply` of text and meta commands, what may differ replaced.

    Data blocks are skipped by their length.
    """
    out: list[bytes] = []
    at = 0
    while at < len(reply):
        end = reply.find(b"\n", at)
        if end < 0:
            out.append(reply[at:])
            break
        line = reply[at : end + 1]
        at = end + 1
        words = line.split()
        if line.startswith(b"VERSION "):
            line = b"VERSION *\r\n"
        elif words and words[0] in _META_CODES:
            has_value = words[0] == b"VA" and len(words) > 1 and words[1].isdigit()
            line = _canonical_meta(words, 2 if has_value else 1, tokens)
            if has_value:
                data_end = at + int(words[1]) + 2
                line += reply[at:data_end]
                at = data_end
        elif line.startswith(b"ME "):
            line = _canonical_me(line, tokens)
        elif words and words[0] == b"VALUE" and len(words) in (4, 5) and words[3].isdigit():
            if len(words) == 5:
                number = tokens.number_of(words[1], words[4])
                line = b" ".join(words[:4]) + b" #%d\r\n" % number
            data_end = at + int(words[3]) + 2
            line += reply[at:data_end]
            at = data_end
        out.append(line)
    return b"".join(out)


def _lifetime(seconds: bytes) -> bytes:
    for limit, text in ((-1, b"none"), (1000, seconds), (150_000, b"day"), (3_000_000, b"month")):
        if int(seconds) <= limit:
            return text
    return b"years"


def _canonical_meta(words: list[bytes], first: int, tokens: CasTokens) -> bytes:
    """A reply's line: its flags begin with words[first]."""
    flags = words[first:]
    key = next((flag[1:] for flag in flags if flag.startswith(b"k")), b"")
    if b"b" in flags:
        try:
            key = base64.b64decode(key, validate=True)
        except binascii.Error:
            pass
    for i, flag in enumerate(flags):
        number = flag[1:]
        if flag[:1] == b"c" and number.isdigit() and number != b"0":
            flags[i] = b"c#%d" % tokens.number_of(key, number)
        elif flag[:1] == b"t" and re.fullmatch(rb"-?\d+", number):
            flags[i] = b"t" + _lifetime(number)
        elif flag[:1] == b"l" and number.isdigit():
            flags[i] = b"l*"
    return b" ".join(words[:first] + flags) + b"\r\n"


def _canonical_me(line: bytes, tokens: CasTokens) -> bytes:
    key = line.split()[1]
    line = re.sub(rb" exp=(-?\d+)", lambda match: b" exp=" + _lifetime(match[1]), line)
    line = re.sub(rb" cas=(\d+)",
                  lambda match: b" cas=#%d" % tokens.number_of(key, match[1]), line)
    return re.sub(rb" (la|cls|size)=\d+", rb" \1=*", line)


@functools.cache
def _keys() -> dict[int, bytes]:
    return {number: key for key, number in key_numbers().items()}


def canonical_packets(reply: bytes, tokens: CasTokens) -> bytes:
    """Packets, each as a line of its header's fields and its body."""
    out: list[bytes] = []
    at = 0
    while len(reply) - at >= HEADER.size + 8:
        magic, opcode, key_size, extras_size, data_type, status, body_size, opaque = (
            HEADER.unpack_from(reply, at))
        (cas,) = struct.unpack_from(">Q", reply, at + HEADER.size)
        end = at + HEADER.size + 8 + body_size
        body = reply[at + HEADER.size + 8 : end]
        at = end
        name = _OPCODE_NAMES.get(opcode, f"{opcode:#x}")
        if name == "version" and status == 0:
            body, body_size = b"*", 1
        key = _keys().get(opaque & (1 << KEY_NUMBER_BITS) - 1)
        shown = f"#{tokens.number_of(key, b'%d' % cas)}" if cas and key else str(cas)
        out.append(f"{name} magic={magic:#x} status={status:#x} extras={extras_size} "
                   f"key={key_size} body={body_size} type={data_type} opaque={opaque:#x} "
                   f"cas={shown} ".encode() + body + b"\n")
    return b"".join(out) + reply[at:]

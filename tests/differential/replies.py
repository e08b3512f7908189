"""Replies in a form in which two servers can be compared byte for byte.

Two things may differ between servers that both are right: the numbers used as CAS tokens and the
version text. Tokens become `#n`, the n-th different token this server has shown for that key: what
clients may rely on is only whether two tokens are equal.
"""

from __future__ import annotations

import collections


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
    """`reply` with tokens and version replaced; data blocks are skipped by their length."""
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
        elif words and words[0] == b"VALUE" and len(words) in (4, 5) and words[3].isdigit():
            if len(words) == 5:
                number = tokens.number_of(words[1], words[4])
                line = b" ".join(words[:4]) + b" #%d\r\n" % number
            data_end = at + int(words[3]) + 2
            line += reply[at:data_end]
            at = data_end
        out.append(line)
    return b"".join(out)

"""A case of this suite, and what of the protocols torc speaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

# What cases need, and torc has. What is not in here (of binary, udp, sasl) is played to memcached
# alone, with a notice; it goes in here once torc speaks it.
TORC_SPEAKS = {"text", "meta", "binary", "sasl", "password file", "udp"}


def _nothing_is_absent() -> str:
    return ""


class Case(NamedTuple):
    name: str
    check: Callable[..., None]  # called with the server's port; raises AssertionError
    needs: str = "text"
    # Says what is not on this machine and no part of torc: then the case is skipped. Else nothing.
    absent: Callable[[], str] = _nothing_is_absent

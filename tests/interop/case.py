"""A case of this suite."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


def _nothing_is_absent() -> str:
    return ""


class Case(NamedTuple):
    name: str
    check: Callable[..., None]  # called with the server's port; raises AssertionError
    # Says what is not on this machine and no part of torc: then the case is skipped. Else nothing.
    absent: Callable[[], str] = _nothing_is_absent

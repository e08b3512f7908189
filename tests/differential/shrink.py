"""Makes a failing stream small: delta debugging over its commands."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

from commands import Command

Fails = Callable[[list[Command]], bool]


def shrink(stream: list[Command], fails: Fails, time_max_s: float) -> list[Command]:
    """A stream that still fails; given the time, no single command can be left out of it."""
    deadline = time.monotonic() + time_max_s

    def fails_in_time(candidate: list[Command]) -> bool:
        return time.monotonic() < deadline and fails(candidate)

    # Most of what comes after the failure goes in a few halvings, before the quadratic part.
    stream = _shortest_failing_prefix(stream, fails_in_time)
    stream = _ddmin(stream, fails_in_time)
    whole = [dataclasses.replace(command, pieces="whole") for command in stream]
    if fails_in_time(whole):
        stream = whole
    apart = [dataclasses.replace(command, chunk=i) for i, command in enumerate(stream)]
    if fails_in_time(apart):
        stream = apart
    alone = [dataclasses.replace(command, connection=int(command.binary)) for command in stream]
    if fails_in_time(alone):
        stream = alone
    return _ddmin(stream, fails_in_time)


def _shortest_failing_prefix(stream: list[Command], fails: Fails) -> list[Command]:
    passing, failing = 0, len(stream)
    while failing - passing > 1:
        middle = (passing + failing) // 2
        if fails(stream[:middle]):
            failing = middle
        else:
            passing = middle
    return stream[:failing]


def _ddmin(stream: list[Command], fails: Fails) -> list[Command]:
    """Zeller's and Hildebrandt's ddmin, complements only: 'Simplifying and Isolating
    Failure-Inducing Input', IEEE TSE 28(2), 2002."""
    parts = 2
    while len(stream) >= 2:
        size = -(-len(stream) // parts)
        for start in range(0, len(stream), size):
            candidate = stream[:start] + stream[start + size :]
            if candidate and fails(candidate):
                stream = candidate
                parts = max(parts - 1, 2)
                break
        else:
            if size == 1:
                break
            parts = min(parts * 2, len(stream))
    return stream

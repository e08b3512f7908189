"""Is a history of concurrent operations on one key linearizable?

A history says for each operation when it was sent, when its answer was there, and what the answer
was. It is linearizable if every operation can be given one moment between the two so that the
answers are those of a cache that does them one after the other (Herlihy and Wing, 1990).

The search is the just-in-time form of Wing's and Gong's (Lowe, 'Testing for linearizability',
2017): go through the events in order of time and keep every world that is still possible. A world
is the key's value and the set of open operations that have taken effect already. When an answer
arrives, the worlds in which that operation can have happened by then remain; if none does, no order
explains the history. It is sound and complete; all written values are unique, so worlds stay few.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

Value = Any  # None: the key is not there; bytes, or int for a counter


@dataclasses.dataclass(frozen=True, slots=True)
class Operation:
    kind: str
    argument: Any
    result: Any
    sent_ns: int
    answered_ns: int
    client: int = 0

    def __str__(self) -> str:
        return (f"{self.sent_ns / 1e3:.1f}..{self.answered_ns / 1e3:.1f} us client {self.client}: "
                f"{self.kind} {self.argument!r} -> {self.result!r}")


IMPOSSIBLE = object()  # the operation cannot have had its answer in this state


def step(value: Value, operation: Operation) -> Value:
    """The value after `operation`, or IMPOSSIBLE where its answer contradicts `value`."""
    kind, argument, result = operation.kind, operation.argument, operation.result
    if kind == "get":
        return value if result == value else IMPOSSIBLE
    if kind == "set":
        return argument if result == "STORED" else IMPOSSIBLE
    if kind == "add":
        done, undone, condition = argument, "NOT_STORED", value is None
    elif kind == "replace":
        done, undone, condition = argument, "NOT_STORED", value is not None
    elif kind == "append":
        done = None if value is None else value + argument
        undone, condition = "NOT_STORED", value is not None
    elif kind == "delete":
        return _deleted(value, result)
    elif kind == "cas":
        expected, done = argument
        undone, condition = ("NOT_FOUND" if value is None else "EXISTS"), value == expected
    elif kind == "incr":
        if value is None:
            return None if result == "NOT_FOUND" else IMPOSSIBLE
        return value + argument if result == value + argument else IMPOSSIBLE
    else:
        raise ValueError(kind)
    if condition:
        return done if result == "STORED" else IMPOSSIBLE
    return value if result == undone else IMPOSSIBLE


def _deleted(value: Value, result: str) -> Value:
    if result == ("NOT_FOUND" if value is None else "DELETED"):
        return None
    return IMPOSSIBLE


def violation(history: Iterable[Operation], first_value: Value = None) -> str:
    """Why the history of one key is not linearizable; "" if it is."""
    operations = sorted(history, key=lambda operation: operation.sent_ns)
    # An answer and a request at the same nanosecond count as concurrent: requests come first.
    events = [(op.sent_ns, 0, number) for number, op in enumerate(operations)]
    events += [(op.answered_ns, 1, number) for number, op in enumerate(operations)]
    events.sort()
    open_numbers: set[int] = set()
    worlds: set[tuple[Value, frozenset[int]]] = {(first_value, frozenset())}
    for _, is_answer, number in events:
        if not is_answer:
            open_numbers.add(number)
            continue
        survivors = _worlds_with(number, worlds, open_numbers, operations)
        if not survivors:
            return _explanation(number, worlds, open_numbers, operations)
        open_numbers.discard(number)
        worlds = {(value, done - {number}) for value, done in survivors}
    return ""


def _worlds_with(
    number: int,
    worlds: set[tuple[Value, frozenset[int]]],
    open_numbers: set[int],
    operations: list[Operation],
) -> set[tuple[Value, frozenset[int]]]:
    """All worlds reachable from `worlds` in which operation `number` has taken effect."""
    seen: set[tuple[Value, frozenset[int]]] = set()
    found: set[tuple[Value, frozenset[int]]] = set()
    left = list(worlds)
    while left:
        world = left.pop()
        if world in seen:
            continue
        seen.add(world)
        value, done = world
        if number in done:
            found.add(world)
            continue  # nothing else has to happen yet
        for other in open_numbers - done:
            after = step(value, operations[other])
            if after is not IMPOSSIBLE:
                left.append((after, done | {other}))
    return found


def _explanation(
    number: int,
    worlds: set[tuple[Value, frozenset[int]]],
    open_numbers: set[int],
    operations: list[Operation],
) -> str:
    operation = operations[number]
    before = [op for op in operations if op.answered_ns < operation.sent_ns][-5:]
    lines = [f"no order explains {operation}"]
    lines += [f"  possible values before: {sorted({repr(value) for value, _ in worlds})[:8]}"]
    lines += [f"  open beside it: {operations[other]}" for other in open_numbers - {number}]
    lines += [f"  answered before: {op}" for op in before]
    return "\n    ".join(lines)


def token_violation(shown: Iterable[tuple[bytes, bytes]]) -> str:
    """`shown`: pairs of (value, CAS token) of one key, whose values are unique in its history.
    Two values never have one token, and one value never has two."""
    token_of: dict[bytes, bytes] = {}
    value_of: dict[bytes, bytes] = {}
    for value, token in shown:
        if token_of.setdefault(value, token) != token:
            return f"value {value!r} had the tokens {token_of[value]!r} and {token!r}"
        if value_of.setdefault(token, value) != value:
            return f"token {token!r} stood for {value_of[token]!r} and {value!r}"
    return ""

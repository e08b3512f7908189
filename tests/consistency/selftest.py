"""The checker must accept what can happen and reject what cannot: a checker that never objects
would pass every server."""

from __future__ import annotations

import dataclasses
import random

from checker import IMPOSSIBLE, Operation, step, token_violation, violation


def _op(kind: str, argument, result, sent: int, answered: int) -> Operation:
    return Operation(kind, argument, result, sent, answered)


GOOD = {
    "reads on either side of a concurrent write": [
        _op("set", b"1", "STORED", 0, 1),
        _op("set", b"2", "STORED", 10, 50),
        _op("get", None, b"1", 20, 30),
        _op("get", None, b"2", 35, 60),
    ],
    "a write that takes effect late": [
        _op("set", b"1", "STORED", 0, 100),
        _op("get", None, None, 10, 20),
        _op("get", None, b"1", 30, 40),
    ],
    "concurrent cas: one of them wins": [
        _op("set", b"1", "STORED", 0, 1),
        _op("cas", (b"1", b"2"), "STORED", 10, 50),
        _op("cas", (b"1", b"3"), "EXISTS", 10, 50),
        _op("get", None, b"2", 60, 70),
    ],
    "concurrent increments": [
        _op("set", 0, "STORED", 0, 1),
        _op("incr", 1, 2, 10, 20),
        _op("incr", 1, 1, 10, 20),
        _op("get", None, 2, 30, 40),
    ],
    "add, delete and add again": [
        _op("add", b"1", "STORED", 0, 30),
        _op("add", b"2", "STORED", 10, 40),
        _op("delete", None, "DELETED", 5, 35),
        _op("get", None, b"2", 50, 60),
    ],
}

BAD = {
    "stale read": [
        _op("set", b"1", "STORED", 0, 1),
        _op("set", b"2", "STORED", 10, 20),
        _op("get", None, b"1", 30, 40),
    ],
    "read from the future": [
        _op("get", None, b"1", 0, 1),
        _op("set", b"1", "STORED", 10, 20),
    ],
    "reads that go back": [
        _op("set", b"1", "STORED", 0, 1),
        _op("set", b"2", "STORED", 10, 100),
        _op("get", None, b"2", 20, 30),
        _op("get", None, b"1", 40, 50),
    ],
    "cas that wins twice": [
        _op("set", b"1", "STORED", 0, 1),
        _op("cas", (b"1", b"2"), "STORED", 10, 50),
        _op("cas", (b"1", b"3"), "STORED", 10, 50),
    ],
    "cas that loses against nobody": [
        _op("set", b"1", "STORED", 0, 1),
        _op("cas", (b"1", b"2"), "EXISTS", 10, 50),
    ],
    "two winners of add": [
        _op("add", b"1", "STORED", 0, 30),
        _op("add", b"2", "STORED", 0, 30),
    ],
    "lost increment": [
        _op("set", 0, "STORED", 0, 1),
        _op("incr", 1, 1, 10, 20),
        _op("incr", 1, 1, 10, 20),
    ],
    "lost append": [
        _op("set", b"a", "STORED", 0, 1),
        _op("append", b"b", "STORED", 10, 20),
        _op("append", b"c", "STORED", 10, 20),
        _op("get", None, b"ac", 30, 40),
    ],
    "delete that found nothing": [
        _op("set", b"1", "STORED", 0, 1),
        _op("delete", None, "NOT_FOUND", 10, 20),
    ],
    "torn read": [
        _op("set", b"11", "STORED", 0, 1),
        _op("set", b"22", "STORED", 10, 30),
        _op("get", None, b"12", 10, 30),
    ],
}


def _invented_history(rng: random.Random, length: int, overlap: float) -> list[Operation]:
    """A history of a perfect cache: every operation takes effect somewhere in its interval, which
    reaches up to `overlap` operations to either side."""
    value = None
    history = []
    for number in range(length):
        moment = number * 100
        reach = int(overlap * 100)
        sent, answered = moment - rng.randint(0, reach), moment + rng.randint(0, reach)
        kind = rng.choice(("get", "get", "set", "add", "delete", "append"))
        unique = b"%d;" % number
        results = {
            "get": (value,),
            "set": ("STORED",),
            "add": ("STORED", "NOT_STORED"),
            "delete": ("DELETED", "NOT_FOUND"),
            "append": ("STORED", "NOT_STORED"),
        }[kind]
        argument = None if kind in ("get", "delete") else unique
        candidates = [Operation(kind, argument, result, sent, answered) for result in results]
        operation = next(op for op in candidates if step(value, op) is not IMPOSSIBLE)
        value = step(value, operation)
        history.append(operation)
    return history


def _with_one_wrong_read(rng: random.Random, history: list[Operation]) -> list[Operation]:
    """The history with one read that shows what another read, at another time, has shown."""
    reads = [(at, op) for at, op in enumerate(history) if op.kind == "get"]
    pairs = [(at, other.result) for at, op in reads for _, other in reads
             if op.result != other.result]
    at, result = rng.choice(pairs)
    return history[:at] + [dataclasses.replace(history[at], result=result)] + history[at + 1 :]


def run(seed: int) -> list[str]:
    """The faults of the checker; none if it can be trusted."""
    faults = []
    for name, history in GOOD.items():
        if why := violation(history):
            faults.append(f"rejects: {name}: {why}")
    for name, history in BAD.items():
        if not violation(history):
            faults.append(f"accepts: {name}")
    if not token_violation([(b"a", b"1"), (b"b", b"1")]):
        faults.append("accepts one token for two values")
    if not token_violation([(b"a", b"1"), (b"a", b"2")]):
        faults.append("accepts two tokens for one value")
    if token_violation([(b"a", b"1"), (b"b", b"2"), (b"a", b"1")]):
        faults.append("rejects good tokens")
    rng = random.Random(seed)
    for _ in range(30):
        if why := violation(_invented_history(rng, 200, overlap=2.5)):
            faults.append(f"rejects a perfect cache: {why}")
        # Without overlap there is one order only, so any change of an answer must be noticed.
        if not violation(_with_one_wrong_read(rng, _invented_history(rng, 200, overlap=0.4))):
            faults.append("accepts a read of a value that was never there at that time")
    return faults

"""Many clients on few keys: records a history for each key, for checker.py to judge."""

from __future__ import annotations

import collections
import dataclasses
import random
import time

from checker import Operation
from traffic import Connection, drive

REGISTER_KEYS = [b"register%d" % i for i in range(8)]
COUNTER_KEYS = [b"counter%d" % i for i in range(3)]


@dataclasses.dataclass
class Recording:
    """What one process has seen."""

    histories: dict[bytes, list[Operation]]
    tokens: dict[bytes, list[tuple[bytes, bytes]]]  # (value, CAS token) by key, as gets showed them


@dataclasses.dataclass
class _Pending:
    kind: str
    keys: list[bytes]
    argument: object = None
    tokens_wanted: bool = False


class _Client:
    """Random requests of one connection, in pipelines of a few."""

    def __init__(self, number: int, rng: random.Random, pipeline_max: int, hot: bool) -> None:
        self.number = number
        self.rng = rng
        self.pipeline_max = pipeline_max
        self.keys = REGISTER_KEYS[:2] if hot else REGISTER_KEYS
        self.pending: collections.deque[_Pending] = collections.deque()
        self.sent_ns = 0
        self.serial = 0
        self.last_seen: dict[bytes, tuple[bytes, bytes]] = {}

    def unique(self) -> bytes:
        self.serial += 1
        text = b"%d.%d;" % (self.number, self.serial)
        # Some values fill many chunks or segments: a torn one would be seen.
        return text * self.rng.choice((1, 1, 1, 1, 1, 200, 2000))

    def batch(self) -> bytes:
        # The pipeline's intervals all begin here: wider than the truth, so still sound.
        requests = [self.request() for _ in range(self.rng.randint(1, self.pipeline_max))]
        self.sent_ns = time.monotonic_ns()
        return b"".join(requests)

    def request(self) -> bytes:
        rng = self.rng
        key = rng.choice(self.keys)
        kind = rng.choices(
            ("get", "gets", "multi", "set", "add", "replace", "append", "delete", "cas", "incr",
             "read counter"),
            (20, 20, 4, 12, 6, 4, 5, 6, 25, 12, 4),
        )[0]
        if kind == "get":
            self.pending.append(_Pending("get", [key]))
            return b"get %s\r\n" % key
        if kind == "gets":
            self.pending.append(_Pending("get", [key], tokens_wanted=True))
            return b"gets %s\r\n" % key
        if kind == "multi":
            keys = rng.sample(self.keys, min(len(self.keys), 4))
            self.pending.append(_Pending("get", keys))
            return b"get %s\r\n" % b" ".join(keys)
        if kind == "delete":
            self.pending.append(_Pending("delete", [key]))
            return b"delete %s\r\n" % key
        if kind == "incr":
            key = rng.choice(COUNTER_KEYS)
            amount = rng.choice((1, 1, 2, 10))
            self.pending.append(_Pending("incr", [key], amount))
            return b"incr %s %d\r\n" % (key, amount)
        if kind == "read counter":
            key = rng.choice(COUNTER_KEYS)
            self.pending.append(_Pending("get", [key]))
            return b"get %s\r\n" % key
        if kind == "cas" and key in self.last_seen:
            expected, token = self.last_seen[key]
            value = self.unique()
            self.pending.append(_Pending("cas", [key], (expected, value)))
            return b"cas %s 0 0 %d %s\r\n%s\r\n" % (key, len(value), token, value)
        if kind == "append":
            self.serial += 1
            value = b"+%d.%d" % (self.number, self.serial)
        else:
            value = self.unique()
        name = kind if kind != "cas" else "set"
        self.pending.append(_Pending(name, [key], value))
        return b"%s %s 0 0 %d\r\n%s\r\n" % (name.encode(), key, len(value), value)


def record(
    port: int, seed: int, process: int, connections: int, batches: int, pipeline_max: int, hot: bool
) -> Recording:
    """Runs `connections` clients in a closed loop, `batches` pipelines each."""
    recording = Recording(collections.defaultdict(list), collections.defaultdict(list))
    clients = [
        _Client(process * 1000 + i, random.Random(f"{seed}/{process}/{i}"), pipeline_max, hot)
        for i in range(connections)
    ]
    lines = [Connection(port) for _ in clients]
    left = [batches] * connections

    def next_batch(number: int) -> bytes | None:
        if left[number] == 0:
            return None
        left[number] -= 1
        return clients[number].batch()

    def on_bytes(number: int) -> bool:
        answered_ns = time.monotonic_ns()
        client = clients[number]
        data = lines[number].incoming
        while client.pending and _take_reply(client, data, answered_ns, recording):
            client.pending.popleft()
        return not client.pending

    try:
        drive(lines, next_batch, on_bytes)
    finally:
        for line in lines:
            line.close()
    return recording


def _take_reply(client: _Client, data: bytearray, answered_ns: int, recording: Recording) -> bool:
    """Takes the reply to the oldest request from `data`; False while it is incomplete."""
    pending = client.pending[0]

    def note(key: bytes, result: object) -> None:
        recording.histories[key].append(
            Operation(pending.kind, pending.argument, result, client.sent_ns, answered_ns,
                      client.number)
        )

    if pending.kind != "get":
        end = data.find(b"\r\n")
        if end < 0:
            return False
        text = data[:end].decode("latin-1")
        del data[: end + 2]
        note(pending.keys[0], int(text) if text.isdigit() else text)
        return True
    values: dict[bytes, tuple[bytes, bytes]] = {}
    at = 0
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            return False
        words = bytes(data[at:end]).split(b" ")
        if words[0] == b"END":
            break
        if words[0] != b"VALUE" or words[1] not in pending.keys:
            raise AssertionError(f"asked to get {pending.keys}, answered {bytes(data[at:end])!r}")
        data_end = end + 2 + int(words[3])
        if len(data) < data_end + 2:
            return False
        values[words[1]] = (bytes(data[end + 2 : data_end]), words[-1])
        at = data_end + 2
    del data[: end + 2]
    for key in pending.keys:
        value, token = values.get(key, (None, b""))
        note(key, int(value) if value is not None and key in COUNTER_KEYS else value)
        if pending.tokens_wanted and value is not None:
            recording.tokens[key].append((value, token))
            client.last_seen[key] = (value, token)
    return True

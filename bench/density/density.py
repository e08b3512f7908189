#!/usr/bin/env python3
"""How many items a server holds in a given memory: memcached and torc side by side.

Each server is started with `-m MB -t 1` and filled with `set` commands, one size of key and value a
run, until it has been sent twice what it holds, so that it has evicted for a while. Then its items
are counted (`curr_items`) and its resident memory is read; the quotient is what an item costs, all
of the server included. `goal` is the peer's cost divided by what torc is to hold more of at equal
resident memory. The rows of mixed sizes have no goal: they show what rounding costs when no size
stands out (`full`: bytes of items by bytes of pages in use, by the server's own statistics).

    bench/density/density.py --torc bazel-bin/src/torc
    bench/density/density.py --torc ./torc --memcached 'chroot ROOT memcached' --rows 1024

Memory, not time: the figures do not depend on what else the machine does.
"""

import argparse
import math
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))

from tests.lib.server import Program, Server  # noqa: E402

# Commands go out in batches of about this many bytes; each batch ends with one that is answered, so
# that the server is never ahead or behind by more.
BATCH_BYTES = 1 << 18
REPLY_SECONDS_MAX = 60


@dataclass(frozen=True)
class Row:
    name: str
    key_size: int
    value_size: Callable[[random.Random], int]
    more: float | None = None  # how many times as many items as memcached torc is to hold


def lognormal(rng: random.Random) -> int:
    """Values of half below 230 bytes and few large ones, as in Twitter's clusters."""
    return max(1, min(65536, round(rng.lognormvariate(math.log(230), 1.0))))


ROWS = (
    Row("16/8", 16, lambda rng: 8, 1.9),
    Row("30/100", 30, lambda rng: 100, 1.3),
    Row("40/230", 40, lambda rng: 230, 1.35),
    Row("40/1024", 40, lambda rng: 1024, 1.12),
    Row("40/4096", 40, lambda rng: 4096, 1.1),
)
MIXED_ROWS = (
    Row("40/200-2800", 40, lambda rng: rng.randint(200, 2800)),
    Row("40/lognormal", 40, lognormal),
)


@dataclass(frozen=True)
class Held:
    """What a filled server holds."""

    items: int
    resident_bytes: int
    full: float  # bytes of items by bytes of pages

    @property
    def bytes_per_item(self) -> float:
        return self.resident_bytes / self.items


def commands(row: Row, total_bytes: int) -> Iterator[bytes]:
    """`set` commands of about `total_bytes` of keys and values, in batches."""
    rng = random.Random(row.name)
    value = b"v" * 65536
    batch: list[bytes] = []
    batch_bytes = sent_bytes = number = 0
    while sent_bytes < total_bytes:
        size = row.value_size(rng)
        key = b"%0*d" % (row.key_size, number)
        number += 1
        batch.append(b"set %b 0 0 %d noreply\r\n%b\r\n" % (key, size, value[:size]))
        batch_bytes += len(batch[-1])
        sent_bytes += row.key_size + size
        if batch_bytes >= BATCH_BYTES:
            yield b"".join(batch)
            batch, batch_bytes = [], 0
    yield b"".join(batch)


def fill(program: Program, row: Row, memory_mb: int, extra: tuple[str, ...]) -> Held:
    with Server(program, "-t", "1", "-m", str(memory_mb), *extra) as server:
        with server.connect(REPLY_SECONDS_MAX) as client:
            # Twice the memory in bytes of keys and values is more than twice what it can hold.
            for batch in commands(row, 2 * memory_mb << 20):
                client.send(batch)
                client.ask(b"mn\r\n")
            stats = client.stats()
            if int(stats["evictions"]) == 0:
                raise SystemExit(f"{program} is not full after {2 * memory_mb} MB")
            malloced = int(client.stats("slabs")["total_malloced"])
            return Held(int(stats["curr_items"]), server.resident_kb << 10,
                        int(stats["bytes"]) / malloced)


def memcached_prefix() -> str:
    """The command prefix of the memcached that the tests compare with."""
    made = subprocess.run([ROOT / "tests/env/memcached"], stdout=subprocess.PIPE, check=True)
    return made.stdout.decode().strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--torc", default=str(ROOT / "bazel-bin/src/torc"), metavar="PREFIX",
                        help="how torc is started (default: what `./dev build` made)")
    parser.add_argument("--memcached", metavar="PREFIX",
                        help="how memcached is started (default: tests/env/memcached says); "
                        "'none' leaves it out")
    parser.add_argument("--rows", nargs="+", metavar="NAME",
                        help="only these: " + ", ".join(r.name for r in ROWS + MIXED_ROWS))
    parser.add_argument("--memory-mb", type=int, default=100, metavar="MB")
    parser.add_argument("--options", default="", help="further options of both servers")
    args = parser.parse_args()
    rows = [row for row in ROWS + MIXED_ROWS if args.rows is None or row.name in args.rows]
    if args.rows and len(rows) != len(set(args.rows)):
        parser.error("no such row; there are " + ", ".join(r.name for r in ROWS + MIXED_ROWS))
    torc = Program(args.torc)
    memcached = None
    if args.memcached != "none":
        memcached = Program(args.memcached or memcached_prefix())
    extra = tuple(args.options.split())

    print(f"{torc} against {memcached}: -t 1 -m {args.memory_mb} {args.options}")
    print(f"{'key/value':14} {'memcached':>26} {'torc':>26} {'torc full':>10} {'ratio':>7} "
          f"{'goal':>16}")
    print(f"{'':14} {'items   RSS MB   B/item':>26} {'items   RSS MB   B/item':>26}")
    missed = 0
    for row in rows:
        begun = time.monotonic()
        theirs = fill(memcached, row, args.memory_mb, extra) if memcached else None
        ours = fill(torc, row, args.memory_mb, extra)

        def shown(held: Held | None) -> str:
            if held is None:
                return f"{'-':>26}"
            return (f"{held.items:>9} {held.resident_bytes / 2**20:>8.1f} "
                    f"{held.bytes_per_item:>7.1f}")

        ratio = goal = ""
        if theirs:
            times = theirs.bytes_per_item / ours.bytes_per_item
            ratio = f"{times:.2f} x"
            if row.more is not None:
                reached = times >= row.more
                missed += not reached
                goal = (f"{row.more} x {theirs.bytes_per_item / row.more:.1f} "
                        f"{'yes' if reached else 'NO'}")
        print(f"{row.name:14} {shown(theirs)} {shown(ours)} {ours.full:>10.3f} {ratio:>7} "
              f"{goal:>16}   {time.monotonic() - begun:.0f} s", flush=True)
    if missed:
        print(f"{missed} goals missed")
        sys.exit(1)


if __name__ == "__main__":
    main()

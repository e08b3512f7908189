"""torc --dump and torc --load: caches copied between torc and memcached, both ways, through files
and pipes; and what they say when that cannot be."""

from __future__ import annotations

import re
import shlex
import subprocess
import tempfile
import time
from pathlib import Path

from lib.client import Client
from lib.ports import free_port
from lib.server import Program, Server
from python_clients import equal, expect

ODD_KEY = b"odd%%\x01\x7f\xc3\xa9/.-_~*'()!"


def items() -> dict[bytes, tuple[bytes, int, int]]:
    """Keys to values, client flags and lifetimes (0: without end)."""
    kept = {
        b"empty": (b"", 0, 0),
        b"binary": (bytes(range(256)) * 3 + b"\r\nEND\r\nVALUE x 0 1\r\n", 4294967295, 0),
        b"large": (b"v" * 900_000, 1, 5000),
        b"soon": (b"v", 2, 1000),
        b"late": (b"v", 3, 50 * 24 * 3600),
        ODD_KEY: (b"odd", 4, 0),
        b"k" * 250: (b"long", 5, 2000),
    }
    # Enough for several requests, and blocks of the file.
    kept |= {b"key%d" % i: (b"%d" % i * (i % 90), i, i % 3 * 1000) for i in range(15_000)}
    return kept


def fill(client: Client, kept: dict[bytes, tuple[bytes, int, int]]) -> None:
    for key, (value, flags, lifetime) in kept.items():
        exptime = lifetime if lifetime <= 30 * 24 * 3600 else int(time.time()) + lifetime
        client.send(b"set %s %d %d %d noreply\r\n%s\r\n"
                    % (key, flags, exptime, len(value), value))
    equal(client.ask(b"mn\r\n"), b"MN\r\n")


def check(client: Client, kept: dict[bytes, tuple[bytes, int, int]]) -> None:
    for key, (value, flags, _) in kept.items():
        client.send(b"get %s\r\n" % key)
        header = b"VALUE %s %d %d\r\n" % (key, flags, len(value))
        equal(client.read(len(header) + len(value) + 7), header + value + b"\r\nEND\r\n")
    # Expiry, as a dump of the copy shows it.
    client.send(b"lru_crawler metadump hash\r\n")
    equal(client.read_line(), b"OK\r\n")
    now = time.time()
    seen = 0
    while (line := client.read_until(b"\n")) != b"END\r\n":
        key, exp = re.match(rb"key=(\S+) exp=(-1|\d+) ", line).groups()
        key = re.sub(rb"%(..)", lambda match: bytes.fromhex(match[1].decode()), key)
        lifetime = kept[key][2]
        if lifetime == 0:
            equal(exp, b"-1")
        else:
            expect(abs(int(exp) - now - lifetime) < 60, f"{key} lives until {exp}")
        seen += 1
    equal(seen, len(kept))


class Copier:
    def __init__(self, torc: str):
        self.command = shlex.split(torc)

    def run(self, what: str, where: str, file: str | Path, **options) -> subprocess.CompletedProcess:
        return subprocess.run([*self.command, what, where, str(file)], capture_output=True,
                              timeout=120, **options)


def round_trip(copier: Copier, source: Program, target: Program) -> None:
    kept = items()
    with (tempfile.TemporaryDirectory(prefix="torc-copies-") as folder,
          Server(source, "-m", "64") as a, Server(target, "-m", "64", "-t", "2") as b):
        file = Path(folder, "dump")
        with a.connect() as client:
            fill(client, kept)
        done = copier.run("--dump", f"127.0.0.1:{a.port}", file)
        equal((done.returncode, done.stdout), (0, b""))
        expect(b"dumped %d items" % len(kept) in done.stderr, done.stderr.decode())
        equal([path.name for path in Path(folder).iterdir()], ["dump"])
        done = copier.run("--load", f"127.0.0.1:{b.port}", file)
        equal(done.returncode, 0)
        expect(b"stored %d items" % len(kept) in done.stderr, done.stderr.decode())
        with b.connect() as client:
            check(client, kept)
            # What is there stays as it is.
            equal(client.ask(b"set binary 9 0 3\r\nnew\r\n"), b"STORED\r\n")
            done = copier.run("--load", f"127.0.0.1:{b.port}", file)
            expect(b"kept %d that were there" % len(kept) in done.stderr, done.stderr.decode())
            equal(client.ask(b"get binary\r\n", end=b"END\r\n"), b"VALUE binary 9 3\r\nnew\r\nEND\r\n")


def pipe(copier: Copier, source: Program, target: Program) -> None:
    kept = items()
    with Server(source, "-m", "64") as a, Server(target, "-m", "64") as b:
        with a.connect() as client:
            fill(client, kept)
        dumped = copier.run("--dump", f"127.0.0.1:{a.port}", "-")
        equal(dumped.returncode, 0)
        done = copier.run("--load", f"127.0.0.1:{b.port}", "-", input=dumped.stdout)
        equal(done.returncode, 0)
        with b.connect() as client:
            check(client, kept)


def failures(copier: Copier, torc: Program) -> None:
    def says(done: subprocess.CompletedProcess, *words: str) -> None:
        text = done.stderr.decode()
        expect(done.returncode != 0 and all(word in text for word in words),
               f"exit status {done.returncode}, {text!r} without {words}")

    nowhere = f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory(prefix="torc-copies-") as folder:
        file = Path(folder, "dump")
        says(copier.run("--dump", nowhere, file), nowhere, "Connection refused")
        equal(list(Path(folder).iterdir()), [])
        says(copier.run("--load", nowhere, file), "dump", "No such file")
        says(copier.run("--dump", nowhere, Path(folder, "no", "dump")), "Connection refused")
        with Server(torc, "-m", "64") as server, server.connect() as client:
            where = f"127.0.0.1:{server.port}"
            fill(client, items())
            says(copier.run("--dump", where, Path(folder, "no", "dump")), "No such file")
            equal(copier.run("--dump", where, file).returncode, 0)
            whole = file.read_bytes()
            client.ask(b"flush_all\r\n")
            # Cut off: what was whole before the cut is stored, and the end is missed.
            file.write_bytes(whole[:-10])
            says(copier.run("--load", where, file), "truncated")
            file.write_bytes(whole[:8] + b"\x02" + whole[9:])
            says(copier.run("--load", where, file), "version 2")
            file.write_bytes(b"something else altogether, and long enough")
            says(copier.run("--load", where, file), "no dump of torc's")
            equal(client.ask(b"lru_crawler disable\r\n"), b"OK\r\n")
            says(copier.run("--dump", where, file), "does not dump its keys", "crawler disabled")
        file.write_bytes(whole)
        # A server that is full and may not evict.
        with Server(torc, "-m", "8", "-M", "-t", "1", "-I", "4m") as server:
            where = f"127.0.0.1:{server.port}"
            with server.connect() as client:
                number = 0
                while client.ask(b"set fill%d 0 0 500000\r\n%s\r\n" % (number, b"v" * 500_000)) \
                        == b"STORED\r\n":
                    number += 1
            says(copier.run("--load", where, file), "refused", "out of memory storing object")
    says(subprocess.run([*copier.command, "--dump"], capture_output=True, timeout=20), "usage:")


CASES = {
    "copy torc to torc": lambda copier, torc, memcached: round_trip(copier, torc, torc),
    "copy memcached to torc": lambda copier, torc, memcached: round_trip(copier, memcached, torc),
    "copy torc to memcached": lambda copier, torc, memcached: round_trip(copier, torc, memcached),
    "copy through a pipe": lambda copier, torc, memcached: pipe(copier, torc, memcached),
    "copies that fail": lambda copier, torc, memcached: failures(copier, torc),
}

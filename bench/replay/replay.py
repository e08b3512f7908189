#!/usr/bin/env python3
"""Replays traces against torc and memcached, look-aside, and prints their miss ratios side by side.

    bench/replay/replay.py --torc PATH [--memcached COMMAND] TRACE.u32.zst...

For each request a get, and on a miss a set: one connection, in the order of the trace, so that the
figures depend on nothing but the cache. Up to --run requests for different keys travel as one get of
many keys, and what it missed is stored before the next: this differs from single requests only in
that a store may evict what the same get has just read.

Keys and sizes are those of bench/simulator/trace.h. Needs `zstd` to unpack (Debian: zstd).
"""

import argparse
import array
import os
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))
from lib.ports import free_port  # noqa: E402

REFUSED = b"SERVER_ERROR out of memory storing object\r\n"
GOAL = 0.93  # of memcached's miss ratio
MASK = (1 << 64) - 1


def hash_of(key):
    h = key * 0x9E3779B97F4A7C15 & MASK
    h ^= h >> 29
    h = h * 0xBF58476D1CE4E5B9 & MASK
    return h ^ h >> 32


def read_trace(path, requests):
    packed = subprocess.run(["zstd", "-dcq", path], check=True, stdout=subprocess.PIPE).stdout
    numbers = array.array("I")
    numbers.frombytes(packed)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers[:requests]


class ReplayError(Exception):
    """A server that does not do what is asked of it."""


class Server:
    """A server under test, on a port of its own, stopped at the end of the block."""

    def __init__(self, command, mib, threads):
        port = free_port()
        as_root = ["-u", "root"] if os.geteuid() == 0 else []
        self.process = subprocess.Popen(
            shlex.split(command) + as_root + ["-l", "127.0.0.1", "-p", str(port), "-U", "0",
                                    "-m", str(mib), "-t", str(threads)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", port))
                break
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    self.process.kill()
                    raise ReplayError(f"no answer from: {command}")
                time.sleep(0.05)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb", 1 << 20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        self.process.terminate()
        self.process.wait(10)


def replay(server, trace, run):
    """The miss ratio. A store that is refused for want of memory, as memcached's are now and then
    while its memory is small and full, leaves the key missing."""
    known = {}
    value = b"v" * 2801
    misses = 0

    def item(key):
        if key not in known:
            h = hash_of(key)
            known[key] = (b"trace:object:%08x:%08x" % (key, h & 0xFFFFFFFF), 200 + h % 2601)
        return known[key]

    def ask(keys):
        server.socket.sendall(b"get " + b" ".join(item(key)[0] for key in keys) + b"\r\n")
        found = set()
        while (line := server.file.readline()) != b"END\r\n":
            _, name, _, size = line.split()
            found.add(name)
            server.file.read(int(size) + 2)
        missed = [key for key in keys if item(key)[0] not in found]
        if missed:
            server.socket.sendall(b"".join(
                b"set %s 0 0 %d\r\n%s\r\n" % (item(key)[0], item(key)[1], value[:item(key)[1]])
                for key in missed))
            for key in missed:
                answer = server.file.readline()
                if answer not in (b"STORED\r\n", REFUSED):
                    raise ReplayError(f"a set was answered with {answer!r}")
        return len(missed)

    pending = {}
    for key in trace:
        if key in pending or len(pending) == run:
            misses += ask(pending)
            pending.clear()
        pending[key] = True
    misses += ask(pending)
    return misses / len(trace)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torc", required=True, help="the server's binary, with options if wanted")
    parser.add_argument("--memcached", default="memcached", help="1.6.45 or newer")
    parser.add_argument("--mib", default="32,64")
    parser.add_argument("--requests", type=int, default=1_500_000)
    parser.add_argument("--run", type=int, default=8)
    parser.add_argument("traces", nargs="+")
    options = parser.parse_args()
    print(f"{'trace':<12}{'-m':>5}{'memcached':>11}{'goal':>9}{'torc -t 1':>11}{'torc -t 4':>11}"
          f"{'t1/mc':>8}{'t4/t1':>8}")
    for path in options.traces:
        trace = read_trace(path, options.requests)
        name = path.rsplit("/", 1)[-1].split(".")[0]
        for mib in map(int, options.mib.split(",")):
            ratios = []
            for command, threads in ((options.memcached, 1), (options.torc, 1), (options.torc, 4)):
                with Server(command, mib, threads) as server:
                    ratios.append(replay(server, trace, options.run))
            peer, one, four = ratios
            print(f"{name:<12}{mib:>5}{peer:>11.4f}{peer * GOAL:>9.4f}{one:>11.4f}{four:>11.4f}"
                  f"{one / peer:>8.3f}{four / one:>8.3f}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except ReplayError as error:
        sys.exit(f"replay: {error}")

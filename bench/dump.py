#!/usr/bin/env python3
"""What a dump of all keys costs the others: a probing client's latencies with and without one.

    bench/dump.py --torc PATH [--memcached 'CMD PREFIX'] [--items 10000000] [--threads 1]

For each server in turn: it is filled; a probing client sends one get after the other, at a given
rate, first alone and then while `lru_crawler metadump all` runs on another connection, again and
again if one dump is over too soon. Printed are the probe's p50, p99, p99.9 and longest wait, how
many keys a dump showed and how long it took. The probe is a process of its own; what it waits for
its own turn of the processor is in its figures, alone and beside a dump. So compare columns, and
rows only where a server's processor was its own (--server-core).

`--tiny` runs it in small, and ends with a line `N passed, N failed`: no figure is judged.
"""

import argparse
import multiprocessing
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from lib.ports import free_port  # noqa: E402

KEYS_PER_WRITE = 500
START_SECONDS_MAX = 10
# Memory for an item of the fill, in either server, with room to spare.
ITEM_BYTES = 160


@dataclass
class Result:
    waits_us: list[float]

    def at(self, share: float) -> float:
        waits = sorted(self.waits_us)
        return waits[min(len(waits) - 1, int(share * len(waits)))]

    def row(self) -> str:
        return "".join(f"{value:>10.0f}" for value in
                       (self.at(0.5), self.at(0.99), self.at(0.999), max(self.waits_us)))


def connect(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=60)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def fill(port: int, items: int) -> None:
    with connect(port) as sock:
        for first in range(0, items, KEYS_PER_WRITE):
            sock.sendall(b"".join(b"set key:%010d 0 0 8 noreply\r\n12345678\r\n" % number
                                  for number in range(first, min(first + KEYS_PER_WRITE, items))))
        sock.sendall(b"mn\r\n")
        if sock.recv(4) != b"MN\r\n":
            raise SystemExit("the fill was not understood")


def probe(port: int, items: int, seconds: float, rate: float, pipe) -> None:
    """Gets at a fixed pace. A wait longer than the pace does not delay the clock: the next probe is
    counted from when it was due."""
    waits = []
    with connect(port) as sock:
        due = time.perf_counter()
        end = due + seconds
        number = 0
        while due < end:
            now = time.perf_counter()
            if due > now:
                time.sleep(due - now)
            number = (number * 6364136223846793005 + 1442695040888963407) % (1 << 64)
            sock.sendall(b"get key:%010d\r\n" % ((number >> 20) % items))
            answer = b""
            while not answer.endswith(b"END\r\n"):
                answer += sock.recv(4096)
            waits.append((time.perf_counter() - due) * 1e6)
            due += 1 / rate
    pipe.send(waits)


def run_probe(port: int, args: argparse.Namespace) -> tuple[multiprocessing.Process, object]:
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.Process(target=probe, args=(port, args.items, args.seconds, args.rate,
                                                          theirs))
    process.start()
    return process, ours


def dump(port: int) -> tuple[int, float]:
    """How many keys one dump showed, and its seconds."""
    began = time.perf_counter()
    lines = 0
    tail = b""
    with connect(port) as sock:
        sock.sendall(b"lru_crawler metadump all\r\n")
        while not tail.endswith(b"END\r\n"):
            received = sock.recv(1 << 20)
            if not received:
                raise SystemExit("the server closed the connection of the dump")
            if received.startswith(b"BUSY"):
                return 0, 0.0
            lines += received.count(b"\n")
            tail = (tail + received)[-8:]
    return lines - 2, time.perf_counter() - began


def measure(name: str, command: list[str], args: argparse.Namespace) -> bool:
    port = free_port()
    megabytes = max(64, args.items * ITEM_BYTES >> 20)
    user = ["-u", "root"] if os.geteuid() == 0 else []
    pin = ["taskset", "-c", str(args.server_core)] if args.server_core is not None else []
    server = subprocess.Popen([*pin, *command, *user, "-l", "127.0.0.1", "-p", str(port), "-m",
                               str(megabytes), "-t", str(args.threads), "-c", "100"],
                              stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                connect(port).close()
                break
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise SystemExit(f"{name} does not start")
                time.sleep(0.05)
        fill(port, args.items)

        process, pipe = run_probe(port, args)
        alone = Result(pipe.recv())
        process.join()

        process, pipe = run_probe(port, args)
        dumps = []
        while process.is_alive() and not pipe.poll(0):
            shown, seconds = dump(port)
            if shown:
                dumps.append((shown, seconds))
            else:
                time.sleep(0.05)
        beside = Result(pipe.recv())
        process.join()
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=30)
    print(f"{name:<12}{'alone':<14}{alone.row()}")
    shown, seconds = dumps[0] if dumps else (0, 0.0)
    print(f"{'':<12}{'beside a dump':<14}{beside.row()}   {shown:,} keys in {seconds:.2f} s, "
          f"{len(dumps)} dumps", flush=True)
    return shown > 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torc", metavar="PREFIX", help="how to run torc")
    parser.add_argument("--memcached", metavar="PREFIX", help="how to run memcached")
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=1, help="-t of the servers")
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement")
    parser.add_argument("--rate", type=float, default=2_000, help="probes a second")
    parser.add_argument("--server-core", type=int, help="the server's own core")
    parser.add_argument("--tiny", action="store_true", help="in small, as a test")
    args = parser.parse_args()
    if args.tiny:
        args.items, args.seconds, args.rate = 5_000, 0.5, 500
    servers = [(name, shlex.split(command)) for name, command in
               (("torc", args.torc), ("memcached", args.memcached)) if command]
    if not servers:
        parser.error("nothing to measure: give --torc, --memcached or both")
    kernel = os.uname()
    print(f"{args.items:,} items, -t {args.threads}, {args.rate:.0f} probes a second for "
          f"{args.seconds:g} s; {kernel.sysname} {kernel.release}, {os.cpu_count()} cores")
    print(f"{'':<26}{'p50 us':>10}{'p99 us':>10}{'p99.9 us':>10}{'max us':>10}")
    shown = [measure(name, command, args) for name, command in servers]
    if args.tiny:
        print(f"{shown.count(True)} passed, {shown.count(False)} failed")
    return 0 if all(shown) or not args.tiny else 1


if __name__ == "__main__":
    sys.exit(main())

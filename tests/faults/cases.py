"""What goes wrong between a server and its clients, on a whole server and a real kernel.

Every function whose name starts with `case_` is one case. It gets a `Stage`, starts the server it
needs, and raises when something is not as it should be; `Skipped` when this machine cannot do it.
"""

from __future__ import annotations

import ctypes
import functools
import os
import random
import re
import resource
import select
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

from lib.client import Client
from lib.server import Program, Server

MIB = 1024 * 1024
TOO_MANY = b"ERROR Too many open connections\r\n"


class Skipped(Exception):
    """This machine lacks what the case needs."""


class Stage:
    """Starts servers for a case and knows how strict to be."""

    def __init__(self, program: Program, shards: int, seed: int, quick: bool):
        self.program = program
        self.shards = shards
        self.seed = seed
        self.quick = quick
        self.sanitized = program.is_sanitized
        self.patience_s = 5.0 if self.sanitized else 0.5

    @functools.cached_property
    def is_torc(self) -> bool:
        return self.program.run("-V").stdout.startswith(b"torc")

    def server(self, *args: str, **options) -> Server:
        return Server(self.program, "-t", str(self.shards), *args, **options)

    def expect_memory(self, server: Server, before: int, growth_max: int, why: str) -> None:
        grown = resident_bytes(server) - before
        # Sanitizers keep freed memory back, so that their builds have no meaningful figure.
        if not self.sanitized and grown > growth_max:
            raise AssertionError(f"{why}: {grown / MIB:.1f} MiB more resident, "
                                 f"at most {growth_max / MIB:.0f} wanted")


def resident_bytes(server: Server) -> int:
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024


def failures(client: Client, cause: str) -> int:
    return int(client.stats("failures")[cause])


def content(size: int, start: int = 0) -> bytes:
    """Bytes that show where they come from."""
    block = b"".join(b"%07d." % ((start + i) % 10_000_000) for i in range(min(size // 8 + 1, 8192)))
    return (block * (size // len(block) + 1))[:size]


def expect(condition: object, what: str) -> None:
    if not condition:
        raise AssertionError(what)


def equal(got: bytes, wanted: bytes, what: str) -> None:
    if got != wanted:
        shorter = min(len(got), len(wanted))
        at = next((i for i in range(shorter) if got[i] != wanted[i]), shorter)
        raise AssertionError(
            f"{what}: {len(got)} bytes for {len(wanted)}, differ at {at}: "
            f"got {got[max(0, at - 30) : at + 60]!r}, wanted {wanted[max(0, at - 30) : at + 60]!r}"
        )


def wait_until(ready: Callable[[], bool], what: str, timeout: float = 10) -> None:
    deadline = time.monotonic() + timeout
    while not ready():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        time.sleep(0.02)


def store(client: Client, key: bytes, value: bytes) -> None:
    equal(client.ask(b"set %s 0 0 %d\r\n%s\r\n" % (key, len(value), value)), b"STORED\r\n", "set")


def value_reply(key: bytes, value: bytes) -> bytes:
    return b"VALUE %s 0 %d\r\n%s\r\nEND\r\n" % (key, len(value), value)


def expect_value(client: Client, key: bytes, value: bytes) -> None:
    wanted = value_reply(key, value)
    client.send(b"get %s\r\n" % key)
    equal(client.read(len(wanted)), wanted, f"get {key.decode()}")


def expect_served(server: Server, rounds: int = 100, slowest_s: float = 1.0) -> None:
    """A connection beside the trouble is served, and in time."""
    with server.connect() as client:
        for i in range(rounds):
            began = time.monotonic()
            value = content(100 + i, i)
            store(client, b"beside", value)
            expect_value(client, b"beside", value)
            took = time.monotonic() - began
            expect(took < slowest_s, f"set and get beside the trouble took {took:.2f} s")


def reset(sock: socket.socket) -> None:
    """Closes with a RST instead of a FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def send_what_fits(sock: socket.socket, data: bytes) -> int:
    """Sends until the peer takes no more; how much that was."""
    sock.setblocking(False)
    sent = 0
    quiet_since = time.monotonic()
    while sent < len(data) and time.monotonic() - quiet_since < 0.05:
        try:
            sent += sock.send(memoryview(data)[sent : sent + (1 << 18)])
            quiet_since = time.monotonic()
        except BlockingIOError:
            time.sleep(0.005)
    sock.setblocking(True)
    return sent


def read_and_compare(client: Client, unsent: bytes, reply: bytes, count: int) -> None:
    """Reads `count` times `reply` while it sends the rest of the requests."""
    sock = client.sock
    sock.setblocking(False)
    wanted = len(reply) * count
    got = bytearray()
    seen = 0
    deadline = time.monotonic() + 60
    while seen < wanted:
        expect(time.monotonic() < deadline, f"only {seen} of {wanted} bytes came")
        readable, writable, _ = select.select([sock], [sock] if unsent else [], [], 1)
        if writable:
            unsent = unsent[sock.send(unsent[: 1 << 18]) :]
        if readable:
            data = sock.recv(1 << 20)
            expect(data, f"closed after {seen} of {wanted} bytes")
            seen += len(data)
            got += data
            while len(got) >= len(reply):
                equal(bytes(got[: len(reply)]), reply, "a reply that was read late")
                del got[: len(reply)]
    expect(not got, f"{len(got)} bytes too many")


# -- slow and silent clients --


def case_slow_readers_of_large_values(stage: Stage) -> None:
    """They ask for gigabytes and do not read: memory stays bounded, others are served, and who
    reads in the end reads it right."""
    value, gets = content(500_000), 60
    request, reply = b"get large\r\n" * gets, value_reply(b"large", value)
    with stage.server("-m", "256") as server:
        with server.connect() as client:
            store(client, b"large", value)
        before = resident_bytes(server)
        slow = [server.connect(60) for _ in range(40)]
        unsent = [request[send_what_fits(client.sock, request) :] for client in slow]
        time.sleep(0.3)
        expect_served(server)
        stage.expect_memory(server, before, 128 * MIB, "40 slow readers of 30 MB each")
        for client, rest in list(zip(slow, unsent))[: 4 if stage.quick else 12]:
            read_and_compare(client, rest, reply, gets)
        for client in slow:
            client.close()
        expect_served(server)


def case_slow_readers_of_small_values(stage: Stage) -> None:
    value, gets = content(100), 200_000
    request, reply = b"get small\r\n" * gets, value_reply(b"small", value)
    with stage.server("-m", "64") as server:
        with server.connect() as client:
            store(client, b"small", value)
        before = resident_bytes(server)
        slow = [server.connect(60) for _ in range(20)]
        unsent = [request[send_what_fits(client.sock, request) :] for client in slow]
        expect_served(server)
        stage.expect_memory(server, before, 128 * MIB, "20 slow readers of 26 MB each")
        for client, rest in list(zip(slow, unsent))[:2]:
            read_and_compare(client, rest, reply * 1000, gets // 1000)
        for client in slow:
            client.close()
        expect_served(server)


def case_slow_reader_sees_values_of_its_time(stage: Stage) -> None:
    """Replies that wait to be read do not change when the items are overwritten or deleted."""
    old = content(400_000)
    with stage.server("-m", "128") as server, server.connect(60) as writer:
        store(writer, b"k", old)
        with server.connect(60) as reader:
            reader.sock.sendall(b"get k\r\n")
            wait_until(lambda: select.select([reader.sock], [], [], 0)[0], "a first byte")
            for i in range(300):
                store(writer, b"k", content(400_000, i))
            writer.ask(b"delete k\r\n")
            for i in range(100):  # what was freed is used for something else
                store(writer, b"other%d" % i, b"#" * 400_000)
            equal(reader.read(len(value_reply(b"k", old))), value_reply(b"k", old), "the old value")


def case_half_commands_that_stay(stage: Stage) -> None:
    """200 connections that send half a command and then nothing, while others work."""
    halves = (b"get half", b"set half 0 0 100000\r\n" + content(50_000), b"s",
              b"set half 0 0 5\r\nab", b"get " + b"key " * 2000)
    with stage.server("-m", "256") as server:
        before = resident_bytes(server)
        waiting = []
        for i in range(200):
            client = server.connect()
            client.sock.sendall(halves[i % len(halves)])
            waiting.append(client)
        expect_served(server, rounds=300)
        stage.expect_memory(server, before, 96 * MIB, "200 halves of commands")
        value = content(100_000)
        waiting[1].sock.sendall(value[50_000:] + b"\r\n")
        equal(waiting[1].read_line(), b"STORED\r\n", "the second half, later")
        waiting[0].sock.sendall(b"\r\n")
        wanted = value_reply(b"half", value)
        equal(waiting[0].read(len(wanted)), wanted, "the rest of a get, later")
        for client in waiting:
            client.close()
        expect_served(server)


def case_stopped_client(stage: Stage) -> None:
    """A client process is stopped in the middle of its traffic, and goes on two seconds later."""
    with stage.server("-m", "128") as server:
        child = os.fork()
        if child == 0:
            os._exit(_pipelining_client(server.port))
        time.sleep(0.3)
        os.kill(child, signal.SIGSTOP)
        try:
            expect_served(server, rounds=200)
            time.sleep(1.5)
            expect_served(server)
        finally:
            os.kill(child, signal.SIGCONT)
        _, status = os.waitpid(child, 0)
        expect(status == 0, "the client that was stopped has read a wrong answer")


def _pipelining_client(port: int) -> int:
    """Runs in a child: the exit status says whether all answers were right."""
    try:
        value = content(3000)
        with Client(("127.0.0.1", port), timeout=30) as client:
            deadline = time.monotonic() + 1.5
            while time.monotonic() < deadline:
                store(client, b"stopped", value)
                client.send(b"get stopped\r\n" * 500)
                wanted = value_reply(b"stopped", value) * 500
                if client.read(len(wanted)) != wanted:
                    return 1
        return 0
    except BaseException:
        return 2


def case_busy_neighbours(stage: Stage) -> None:
    """Ten connections with endless pipelines: those beside them, old and new, wait their turn and
    no longer."""
    with stage.server("-m", "64") as server, server.connect() as old:
        store(old, b"k", content(100))
        children = []
        for _ in range(2):
            child = os.fork()
            if child == 0:
                os._exit(_endless_pipelines(server.port, 3.0))
            children.append(child)
        slowest = 0.0
        deadline = time.monotonic() + 2.5
        while time.monotonic() < deadline:
            began = time.monotonic()
            expect_value(old, b"k", content(100))
            with server.connect() as new:
                expect_value(new, b"k", content(100))
            slowest = max(slowest, time.monotonic() - began)
            time.sleep(0.01)
        for child in children:
            expect(os.waitpid(child, 0)[1] == 0, "a busy neighbour was cut off")
        # memcached: 0.03 s. The rest is room for a machine that is busy itself.
        expect(slowest < stage.patience_s, f"a get on an old and on a new connection took "
                                           f"{slowest:.2f} s, {stage.patience_s:g} s are allowed")


def _endless_pipelines(port: int, seconds: float) -> int:
    """Runs in a child: five connections that always have more to ask and read what they get."""
    try:
        pipeline = memoryview(b"get k\r\n" * 50_000)
        socks = [socket.create_connection(("127.0.0.1", port)) for _ in range(5)]
        left = {sock: pipeline for sock in socks}
        for sock in socks:
            sock.setblocking(False)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            readable, writable, _ = select.select(socks, socks, [], 1)
            for sock in writable:
                left[sock] = (left[sock] or pipeline)[sock.send(left[sock] or pipeline) :]
            for sock in readable:
                if not sock.recv(1 << 20):
                    return 1
        return 0
    except BaseException:
        return 2


# -- connections that end early --


def case_half_closed(stage: Stage) -> None:
    """Who says that nothing more will come still gets all replies, and then a close."""
    with stage.server("-m", "64") as server:
        with server.connect() as client:
            store(client, b"k", content(2000))
            client.send(b"get k\r\n" * 5000)
            client.half_close()
            equal(client.read_to_close(), value_reply(b"k", content(2000)) * 5000, "after the FIN")
        with server.connect() as client:
            client.send(b"mn\r\nset k 0 0 5\r\nhe")
            client.half_close()
            equal(client.read_to_close(), b"MN\r\n", "a FIN within a value")
        with server.connect() as client:
            expect_value(client, b"k", content(2000))
            wait_until(lambda: client.stats()["curr_connections"] == "1", "the others are closed")


def case_reset_within_a_value(stage: Stage) -> None:
    """Half of a value and then a RST, many times: nothing is stored, nothing is lost."""
    repeats = 200
    half = content(256 * 1024)
    with stage.server("-m", "64") as server, server.connect() as watcher:
        store(watcher, b"victim", b"old")
        before = watcher.stats()
        resident = 0
        for i in range(repeats):
            if i == 40:
                resident = resident_bytes(server)
            sock = socket.create_connection(server.address)
            sock.sendall(b"set victim 0 0 %d\r\n" % (2 * len(half)) + half)
            reset(sock)
            if i % 20 == 19:
                # More at once would not fit beside the old value, which might be evicted.
                wait_until(lambda: watcher.stats()["curr_connections"] == "1", "they are gone")
        after = watcher.stats()
        for name in ("curr_items", "bytes"):
            expect(before[name] == after[name], f"{name} {before[name]}, then {after[name]}")
        expect_value(watcher, b"victim", b"old")
        stage.expect_memory(server, resident, 24 * MIB, "160 more resets")
        # All of the memory can still be used: what was begun holds none of it back.
        for i in range(90):
            store(watcher, b"fill%d" % i, content(500_000, i))
        expect_value(watcher, b"fill89", content(500_000, 89))


def case_reset_with_replies_under_way(stage: Stage) -> None:
    """A RST while large replies wait to be read: the items are released."""
    value = content(700_000)
    with stage.server("-m", "64") as server:
        with server.connect() as client:
            store(client, b"k", value)
        for _ in range(100):
            sock = socket.create_connection(server.address)
            sock.sendall(b"get k\r\n" * 20)
            sock.recv(1000)
            reset(sock)
        with server.connect() as client:
            # More than the memory, so that evictions must get at every chunk again.
            for i in range(200):
                store(client, b"fill%d" % i, content(700_000, i))
            wait_until(lambda: client.stats()["curr_connections"] == "1", "the others are gone")
        expect_served(server)


# -- many connections --


def case_ten_thousand_idle_connections(stage: Stage) -> None:
    count = 10_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count + 500:
        raise Skipped(f"the limit of open files is {hard}; {count + 500} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 500, hard))
    socks: list[socket.socket] = []
    try:
        with stage.server("-c", str(count + 200), "-m", "64", "-b", "4096") as server:
            with server.connect() as client:
                store(client, b"k", b"v")
                before = resident_bytes(server)
                request, reply = b"get k\r\n", value_reply(b"k", b"v")
                for _ in range(count):
                    sock = socket.create_connection(server.address, 20)
                    sock.sendall(request)
                    socks.append(sock)
                for sock in socks:
                    equal(sock.recv(100), reply, "the first get of a connection")
                expect(int(client.stats()["curr_connections"]) >= count, "all are open")
                stage.expect_memory(server, before, 64 * MIB, f"{count} idle connections")
                expect_served(server)
                for sock in random.Random(stage.seed).sample(socks, 300):
                    sock.sendall(request)
                    equal(sock.recv(100), reply, "a connection that was idle")
                for sock in socks:
                    sock.close()
                wait_until(lambda: int(client.stats()["curr_connections"]) < 10, "all closed", 20)
    finally:
        for sock in socks:
            sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def case_flood_past_the_limit(stage: Stage) -> None:
    """More connections than -c: the surplus is told so and closed; later ones are served again."""
    limit = 100
    with stage.server("-c", str(limit)) as server:
        clients = [server.connect() for _ in range(2 * limit)]
        served, refused = [], []
        for client in clients:
            try:
                client.send(b"mn\r\n")
            except OSError:
                pass  # refused and closed already
            answer = client.read_line()
            if answer == b"MN\r\n":
                served.append(client)
            else:
                equal(answer + client.read_to_close(), TOO_MANY, "the answer to the surplus")
                refused.append(client)
        expect(limit // 2 <= len(served) <= limit, f"{len(served)} of {limit} are served")
        for client in served:
            equal(client.ask(b"mn\r\n"), b"MN\r\n", "who was in before the flood")
        rejected = int(served[0].stats()["rejected_connections"])
        expect(rejected == len(refused), f"{rejected} rejected by stats, {len(refused)} seen")
        if stage.is_torc:
            expect(failures(served[0], "too_many_connections") == rejected, "counted by cause")
        for client in served[1:]:
            client.close()
        wait_until(lambda: int(served[0].stats()["curr_connections"]) < 10, "they are closed")
        expect_served(server)
        served[0].close()


def case_accept_at_the_file_limit(stage: Stage) -> None:
    """The limit of open files sinks under the running server: it survives, and recovers."""
    with stage.server("-c", "1000") as server:
        first = [server.connect() for _ in range(20)]
        for client in first:
            equal(client.ask(b"mn\r\n"), b"MN\r\n", "before")
        used = len(os.listdir(f"/proc/{server.pid}/fd"))
        soft, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (used + 10, hard))
        more = []
        for _ in range(60):
            sock = socket.socket()
            sock.setblocking(False)  # memcached stops listening, and then even connect waits
            sock.connect_ex(server.address)
            more.append(sock)
        time.sleep(1.0)
        # Those it has no file for wait, or are refused; those that are in must not notice.
        for client in first:
            equal(client.ask(b"mn\r\n"), b"MN\r\n", "who was in before")
        ticks = _processor_ticks(server)
        time.sleep(1.0)
        spent = (_processor_ticks(server) - ticks) / os.sysconf("SC_CLK_TCK")
        expect(spent < 0.5, f"{spent:.2f} s of processor time in a second of waiting")
        for connection in first[1:] + more[:40]:
            connection.close()
        wait_until(lambda: _answers(server), "a new connection is served", 20)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (soft, hard))
        for sock in more:
            sock.close()
        expect_served(server)
        first[0].close()


def case_accept_into_a_full_file_table(stage: Stage) -> None:
    """A burst finds fewer files than it needs: accepting pauses, is counted, and goes on."""
    torc_only(stage)
    few = 5
    with stage.server("-c", "100") as server:
        used = len(os.listdir(f"/proc/{server.pid}/fd"))
        limit = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)[0]

    def take_files() -> None:
        # The limit is the one that the first server set itself: it must not have to raise it.
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        for number in range(used + few, limit):
            os.dup2(0, number)

    with stage.server("-c", "100", preexec_fn=take_files, close_fds=False) as server:
        # Connections leave the table as soon as their shard looks at them: it must not, for now. On
        # a busy machine the kernel may accept them in so small helpings that there are files enough.
        burst = []
        for _ in range(10):
            os.kill(server.pid, signal.SIGSTOP)
            burst += [server.connect() for _ in range(60)]
            os.kill(server.pid, signal.SIGCONT)
            for client in burst:
                equal(client.ask(b"mn\r\n"), b"MN\r\n", "one of the burst")
            counted = failures(burst[0], "accept_file_limit")
            if counted > 0:
                break
            for client in burst[1:]:
                client.close()
            del burst[1:]
            wait_until(lambda: burst[0].stats()["curr_connections"] == "1", "the others leave")
        expect(counted > 0, "the bursts found files enough")
        equal(b"%d" % counted, burst[0].stats()["listen_disabled_num"].encode(), "counted by cause")
        for client in burst:
            client.close()


def _processor_ticks(server: Server) -> int:
    fields = Path(f"/proc/{server.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def _answers(server: Server) -> bool:
    try:
        with server.connect(0.5) as client:
            return client.ask(b"mn\r\n") == b"MN\r\n"
    except (OSError, AssertionError):
        return False


# -- refused at the start --


def case_memory_refused_at_start(stage: Stage) -> None:
    """The kernel gives no address space for -m: a message that says so, and what to do."""
    torc_only(stage)
    if stage.sanitized:
        raise Skipped("sanitizers need the address space that is taken away here")
    limit = 2 << 30

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    ended = stage.program.run("-m", "100000", "-s", "/nowhere/socket", preexec_fn=bound)
    expect(ended.returncode == os.EX_OSERR, f"exit status {ended.returncode}")
    said = ended.stderr.decode()
    expect("cannot reserve" in said and "-m" in said, f"said {said!r}")


def case_io_uring_refused_at_start(stage: Stage) -> None:
    """A container's filter forbids io_uring: torc names the reason and the cure."""
    torc_only(stage)
    ended = stage.program.run("-s", "/nowhere/socket", preexec_fn=_forbid_io_uring)
    expect(ended.returncode == os.EX_OSERR, f"exit status {ended.returncode}")
    said = ended.stderr.decode()
    expect("io_uring" in said and "seccomp" in said, f"said {said!r}")


def torc_only(stage: Stage) -> None:
    if not stage.is_torc:
        raise Skipped("about torc's own needs")


def _forbid_io_uring() -> None:
    """Makes io_uring_setup fail with EPERM from here on, as Docker's default filter does."""
    io_uring_setup = 425
    load, jump_equal, give = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
    steps = [(load, 0, 0, 0), (jump_equal, 0, 1, io_uring_setup), (give, 0, 0, 0x00050001),
             (give, 0, 0, 0x7FFF0000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    program = struct.pack("@HP", len(steps), ctypes.addressof(code))
    prctl = ctypes.CDLL(None).prctl
    no_new_privs, set_seccomp, mode_filter = 38, 22, 2
    if prctl(no_new_privs, 1, 0, 0, 0) or prctl(set_seccomp, mode_filter, program, 0, 0):
        os._exit(1)


# -- odd segments --


def case_pipeline_of_100000(stage: Stage) -> None:
    count = 100_000
    with stage.server("-m", "256") as server, server.connect(60) as client:
        request = b"".join(b"set p%d 0 0 6\r\n%06d\r\n" % (i % 1000, i) for i in range(count))
        client.send(request)
        equal(client.read(8 * count), b"STORED\r\n" * count, "sets")
        client.send(b"".join(b"get p%d\r\n" % (i % 1000) for i in range(count)))
        wanted = b"".join(
            value_reply(b"p%d" % (i % 1000), b"%06d" % (count - 1000 + i % 1000))
            for i in range(count)
        )
        equal(client.read(len(wanted)), wanted, "gets")
        expect_served(server)


def case_one_byte_per_segment(stage: Stage) -> None:
    """100 connections, each of which sends a byte at a time."""
    with stage.server("-m", "64") as server:
        clients = [server.connect(30) for _ in range(100)]
        scripts = []
        for i in range(len(clients)):
            value = content(40, i)
            request = (b"set seg%d 7 0 40\r\n%s\r\nget seg%d none\r\nappend seg%d 0 0 1\r\n!\r\n"
                       b"incr none 1\r\nbogus\r\ndelete seg%d\r\n" % (i, value, i, i, i))
            reply = (b"STORED\r\nVALUE seg%d 7 40\r\n%s\r\nEND\r\nSTORED\r\nNOT_FOUND\r\nERROR\r\n"
                     b"DELETED\r\n" % (i, value))
            scripts.append((request, reply))
        for at in range(max(len(request) for request, _ in scripts)):
            for client, (request, _) in zip(clients, scripts):
                if at < len(request):
                    client.sock.send(request[at : at + 1])
        for client, (_, reply) in zip(clients, scripts):
            equal(client.read(len(reply)), reply, "a conversation byte by byte")
            client.close()


def case_values_of_64_mb(stage: Stage) -> None:
    """-I 64m: four large values at once, each read back whole by someone else."""
    size = 60 * MIB
    faults: list[str] = []
    with stage.server("-I", "64m", "-m", "1024") as server:

        def work(number: int) -> None:
            try:
                value = content(size + number, number * 1000)
                with server.connect(60) as client:
                    store(client, b"huge%d" % number, value)
                with server.connect(60) as client:
                    client.send(b"get huge%d\r\n" % number)
                    wanted = value_reply(b"huge%d" % number, value)
                    equal(client.read(len(wanted)), wanted, "a value of 60 MB")
            except Exception as fault:
                faults.append(f"{type(fault).__name__}: {fault}")

        threads = [threading.Thread(target=work, args=(n,)) for n in range(2 if stage.quick else 4)]
        for thread in threads:
            thread.start()
        expect_served(server, rounds=50, slowest_s=5)
        for thread in threads:
            thread.join()
        expect(not faults, "; ".join(faults))
        with server.connect(60) as client:
            store(client, b"huge0", b"small again")
            expect_value(client, b"huge0", b"small again")


def case_garbage_beside_good_traffic(stage: Stage) -> None:
    """Seeded nonsense on one connection; the one beside it never sees a wrong byte."""
    rng = random.Random(stage.seed)
    words = [b"get", b"gets", b"set", b"add", b"cas", b"append", b"incr", b"decr", b"delete",
             b"touch", b"gat", b"mn", b"version", b"quit", b"stats", b"noreply", b"z1", b"z" * 250,
             b"z" * 251, b"0", b"1", b"5", b"-1", b"99999", b"4294967296", b"18446744073709551616",
             b"2147483647", b" ", b"\r\n", b"\n", b"\r", b"\0", b"\xff\xfe", b"abc", b"\t"]
    with stage.server("-m", "64") as server, server.connect() as good:
        bad = server.connect()
        for i in range(300 if stage.quick else 3000):
            piece = b"z"  # never the first byte of the binary protocol
            for _ in range(rng.randint(1, 30)):
                junk = rng.randbytes(rng.randint(1, 9))
                piece += rng.choice(words) if rng.random() < 0.8 else junk
                piece += rng.choice((b" ", b" ", b"\r\n", b"", b"\r\n"))
            # A length of 2 GB would swallow all that follows; such a connection is given up.
            try:
                bad.sock.setblocking(False)
                bad.sock.send(piece)
                while bad.sock.recv(1 << 16):
                    pass
                raise ConnectionResetError
            except BlockingIOError:
                pass
            except OSError:
                bad.close()
                bad = server.connect()
            if i % 50 == 49:
                bad.close()
                bad = server.connect()
            value = content(rng.randint(0, 3000), i)
            store(good, b"good%d" % (i % 20), value)
            expect_value(good, b"good%d" % (i % 20), value)
        bad.close()


# -- the end --


def case_terminated_under_traffic(stage: Stage) -> None:
    """SIGTERM while clients pipeline: right replies up to some point, a close, exit status 0."""
    with stage.server("-m", "64") as server:
        with server.connect() as client:
            store(client, b"k", content(1000))
        reply = value_reply(b"k", content(1000))
        clients = [server.connect() for _ in range(20)]
        for client in clients:
            client.sock.sendall(b"get k\r\n" * 50)
        for client in clients:
            equal(client.read(len(reply)), reply, "the first reply")
        status = server.stop(signal.SIGTERM)
        expect(status == 0, f"exit status {status}")
        for client in clients:
            rest = client.read_to_close()
            equal(rest, (reply * 49)[: len(rest)], "what came before the close")
            client.close()


def case_terminated_with_replies_under_way(stage: Stage) -> None:
    """Large replies wait to be read while SIGTERM comes: they are delivered to their end."""
    value = content(900_000)
    with stage.server("-m", "256") as server:
        with server.connect(30) as client:
            store(client, b"k", value)
            reply = value_reply(b"k", value)
            client.sock.sendall(b"get k\r\n" * 8)
            wait_until(lambda: select.select([client.sock], [], [], 0)[0], "a first byte")
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            equal(client.read_to_close(), reply * 8, "the replies under way")
        status = server.stop(signal.SIGTERM)
        expect(status == 0, f"exit status {status}")


CASES = [case for name, case in list(globals().items()) if name.startswith("case_")]

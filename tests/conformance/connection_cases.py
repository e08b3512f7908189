"""Connections: many at once, too many, idle, half open, reset, slow; and what the others notice."""

import resource
import signal
import socket
import struct
import time
from contextlib import ExitStack

from harness import Context, Skip, case
from lib.client import Client
from stats_cases import wait_for
from story import shorten

REFUSAL = b"ERROR Too many open connections\r\n"


def rude_close(client: Client) -> None:
    """Closes with a reset instead of an orderly end."""
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@case("connections: past -c a connection is told so and closed", server=("-c", "50"))
def flood(context: Context) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(context.connect())
        assert first.ask(b"mn\r\n") == b"MN\r\n"  # in before the flood
        clients = [first] + [stack.enter_context(context.connect()) for _ in range(79)]

        def all_judged() -> bool:
            stats = first.stats()
            return int(stats["rejected_connections"]) + int(stats["curr_connections"]) >= 80

        wait_for(all_judged, "all are accepted or refused")
        time.sleep(0.1)  # the refusals arrive
        refused = [client for client in clients if not client.is_open()]
        served = [client for client in clients if client.is_open()]
        # memcached counts file descriptors and needs some itself, so it serves a few less than -c.
        assert 20 <= len(served) <= 50, f"{len(served)} served"
        for client in refused:
            said = client.read_to_close()
            assert said == REFUSAL, shorten(said)
        for client in served:
            assert client.ask(b"mn\r\n") == b"MN\r\n"
        stats = served[0].stats()
        assert int(stats["rejected_connections"]) == len(refused), stats["rejected_connections"]
        assert int(stats["curr_connections"]) == len(served), stats["curr_connections"]
        assert stats["max_connections"] == "50"
        for client in clients[1:]:
            if client is not served[0]:
                client.close()
        wait_for(lambda: served[0].stats()["curr_connections"] == "1", "the others have gone")
        again = [stack.enter_context(context.connect()) for _ in range(15)]
        for client in again:
            assert client.ask(b"mn\r\n") == b"MN\r\n"


def allow_open_files(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < count:
        if 0 <= hard < count:
            raise Skip(f"the limit on open files is below {count}")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


@case("connections: 10,000 idle ones stay open beside a busy one", server=("-c", "12000"))
def idle(context: Context) -> None:
    count = 1000 if context.target.quick else 10000
    allow_open_files(count + 1000)
    with ExitStack() as stack:
        busy = stack.enter_context(context.connect())
        # What all share, such as receive buffers, is not memory of a connection.
        others = [stack.enter_context(context.connect()) for _ in range(50)]
        for _ in range(100):
            for client in others:
                client.send(b"get a\r\n")
            for client in others:
                assert client.read_line() == b"END\r\n"
        count_before = len(others) + 1
        before = context.server.resident_kb
        clients = [stack.enter_context(context.connect()) for _ in range(count)]
        wait_for(lambda: busy.stats()["curr_connections"] == str(count + count_before),
                 "all are accepted", 20)
        for _ in range(1000):
            assert busy.ask(b"mn\r\n") == b"MN\r\n"
        for client in clients:
            client.send(b"get a\r\n")
        for client in clients:
            assert client.read_line() == b"END\r\n"
        # Buffers follow the data under way, not the number of connections.
        grown = context.server.resident_kb - before
        assert grown < 4 * count or context.server.is_sanitized, f"{grown} kB for {count}"


@case("connections: five hundred at once, each sees its own answers")
def many(context: Context) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(context.connect()) for _ in range(500)]
        for turn in range(5):
            for at, client in enumerate(clients):
                value = at * 10 + turn
                client.send(b"set many%d 0 0 8\r\n%08d\r\nget many%d\r\n" % (at, value, at))
            for at, client in enumerate(clients):
                wanted = b"STORED\r\nVALUE many%d 0 8\r\n%08d\r\nEND\r\n" % (at, at * 10 + turn)
                got = client.read(len(wanted))
                assert got == wanted, f"expected {wanted!r}\ngot      {got!r}"


@case("connections: what one writes all others read")
def seen_by_all(context: Context) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(context.connect()) for _ in range(8)]
        for turn in range(100):
            writer = clients[turn % 8]
            value = b"%05d" % turn
            assert writer.ask(b"set shared%d 0 0 5\r\n%s\r\n" % (turn % 7, value)) == b"STORED\r\n"
            for reader in clients:
                got = reader.ask(b"get shared%d\r\n" % (turn % 7), b"END\r\n")
                assert value in got, f"expected {value!r}\ngot      {got!r}"


@case("connections: a reply says that the silent commands before it are done, for all to see")
def silent_commands_are_done(context: Context) -> None:
    # mn is what clients end a run of silent commands with; any other reply means as much.
    replies = {b"mn\r\n": b"MN\r\n", b"get none\r\n": b"END\r\n", b"bogus\r\n": b"ERROR\r\n"}
    with ExitStack() as stack:
        writer = stack.enter_context(context.connect())
        readers = [stack.enter_context(context.connect()) for _ in range(8)]
        for turn in range(600):
            key, value = b"silent%d" % (turn % 50), b"%05d" % turn
            request, reply = list(replies.items())[turn % len(replies)]
            writer.send(b"set %s 0 0 5 noreply\r\n%s\r\n%s" % (key, value, request))
            got = writer.read_line()
            assert got == reply, f"expected {reply!r}\ngot      {got!r}"
            got = readers[turn % 8].ask(b"get %s\r\n" % key, b"END\r\n")
            assert value in got, f"after {turn} turns, {request!r}: expected {value!r}, got {got!r}"


@case("connections: resets at every stage harm nobody", server=())
def resets(context: Context) -> None:
    stages = [b"", b"ge", b"get a", b"get a\r\n", b"set a 0 0 1000\r\n", b"set a 0 0 1000\r\nabc",
              b"set a 0 0 5000000\r\nabc", b"get big\r\n" * 50, b"set b 0 0 1\r\nx\r\n" * 100]
    with context.connect() as steady:
        steady.ask(b"set big 0 0 500000\r\n" + b"x" * 500000 + b"\r\n")
        before = steady.stats()
        for _ in range(10):
            for stage in stages:
                client = context.connect()
                client.send(stage)
                rude_close(client)
                assert steady.ask(b"mn\r\n") == b"MN\r\n"
        wait_for(lambda: steady.stats()["curr_connections"] == "1", "all are gone")
        steady.ask(b"delete b\r\n")
        after = steady.stats()
        assert after["curr_items"] == before["curr_items"], after["curr_items"]
        assert after["bytes"] == before["bytes"]


@case("connections: a client that does not read holds up nobody", server=())
def slow_reader(context: Context) -> None:
    size, count = 100000, 300
    answer = b"VALUE big 0 %d\r\n%s\r\nEND\r\n" % (size, b"x" * size)
    with context.connect() as slow, context.connect() as other:
        other.ask(b"set big 0 0 %d\r\n%s\r\n" % (size, b"x" * size))
        slow.sock.sendall(b"get big\r\n" * count)
        time.sleep(0.2)
        # Held up, these would have no answer at all: nobody reads for the other one until they have.
        for _ in range(200):
            assert other.ask(b"mn\r\n") == b"MN\r\n"
        got = slow.read(len(answer) * count)
        assert got == answer * count, shorten(got)


@case("connections: twenty clients that do not read cost bounded memory", server=())
def slow_readers(context: Context) -> None:
    values = {b"large": b"x" * 100000, b"small": b"x" * 1000}
    gets = {key: b"get %s\r\n" % key * 1000 for key in values}
    with ExitStack() as stack:
        other = stack.enter_context(context.connect())
        for key, value in values.items():
            other.ask(b"set %s 0 0 %d\r\n%s\r\n" % (key, len(value), value))
        before = context.server.resident_kb
        for key in [*values] * 10:
            stuff(stack.enter_context(context.connect()), gets[key], count=200)
        for _ in range(200):
            assert other.ask(b"mn\r\n") == b"MN\r\n"
        grown = context.server.resident_kb - before
        # The replies asked for are gigabytes.
        assert grown < 100000 or context.server.is_sanitized, f"{grown} kB"
    with context.connect() as other:
        wait_for(lambda: other.stats()["curr_connections"] == "1", "the others have gone")


def stuff(client: Client, data: bytes, count: int) -> None:
    """Sends `data` again and again while the kernel and the server take it, reading nothing."""
    client.sock.setblocking(False)
    try:
        for _ in range(count):
            client.sock.send(data)
    except BlockingIOError:
        pass


@case("connections: half a command holds up nobody")
def half_commands(context: Context) -> None:
    halves = {
        b"g": b"et none\r\n",
        b"get none": b"\r\n",
        b"get none\r": b"\n",
        b"set half 0 0 5\r\n": b"abcde\r\n",
        b"set half 0 0 5\r\nab": b"cde\r\n",
        b"set half 0 0 5\r\nabcde\r": b"\n",
    }
    with ExitStack() as stack:
        clients = [(stack.enter_context(context.connect()), half) for half in [*halves] * 10]
        for client, half in clients:
            client.send(half)
        with context.connect() as other:
            assert other.ask(b"delete half\r\n") == b"NOT_FOUND\r\n"
            for _ in range(100):
                assert other.ask(b"mn\r\n") == b"MN\r\n"
        for client, half in clients:
            client.send(halves[half])
            wanted = b"END\r\n" if half.startswith(b"g") else b"STORED\r\n"
            got = client.read_line()
            assert got == wanted, f"after {half!r} expected {wanted!r}, got {got!r}"


@case("connections: 100,000 commands and a half-close in one go")
def long_pipeline_half_closed(context: Context) -> None:
    with context.connect() as client:
        client.ask(b"set a 0 0 1\r\nx\r\n")
        client.send(b"get a\r\n" * 100000)
        client.half_close()
        got = client.read_to_close()
        wanted = b"VALUE a 0 1\r\nx\r\nEND\r\n" * 100000
        assert got == wanted, f"{len(got)} bytes of {len(wanted)}: {shorten(got)}"


@case("connections: one byte per segment on a hundred connections")
def byte_by_byte(context: Context) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(context.connect()) for _ in range(100)]
        talks = [b"set s%03d 7 0 5\r\nab\r\nc\r\nget s%03d\r\n" % (at, at) for at in range(100)]
        for place in range(len(talks[0])):
            for client, talk in zip(clients, talks):
                client.send(talk[place : place + 1])
        for at, client in enumerate(clients):
            wanted = b"STORED\r\nVALUE s%03d 7 5\r\nab\r\nc\r\nEND\r\n" % at
            got = client.read(len(wanted))
            assert got == wanted, f"expected {wanted!r}\ngot      {got!r}"


@case("connections: SIGTERM and SIGINT let the replies under way arrive", needs_server=False)
def replies_under_way(context: Context) -> None:
    size, count = 100000, 200  # more than the kernel's buffers hold
    answer = b"VALUE big 0 %d\r\n%s\r\nEND\r\n" % (size, b"x" * size)
    for by in (signal.SIGTERM, signal.SIGINT):
        with context.target.start() as server, server.connect(context.target.timeout) as client:
            client.ask(b"set big 0 0 %d\r\n%s\r\n" % (size, b"x" * size))
            client.send(b"get big\r\n" * count)
            first = client.read(len(answer))
            # Under way is what has been received, which may take some turns: until it stands still.
            with server.connect(context.target.timeout) as watcher:
                seen = 0
                while (got := int(watcher.stats()["cmd_get"])) > seen:
                    seen = got
                    time.sleep(0.2)
            server.process.send_signal(by)
            got = first + client.read_to_close()
            assert got == answer * count, f"{by.name}: {len(got)} bytes of {len(answer) * count}"


@case("connections: SIGTERM with clients connected: exit status 0", needs_server=False)
def sigterm_under_traffic(context: Context) -> None:
    server = context.target.start()
    with ExitStack() as stack:
        clients = [stack.enter_context(server.connect(context.target.timeout)) for _ in range(20)]
        for client in clients:
            client.send(b"get a\r\n" * 100)
        for client in clients:
            assert client.read(5 * 100) == b"END\r\n" * 100
        status = server.stop(signal.SIGTERM)
        assert status == 0, f"exit status {status}\n{server.report()}"
        for client in clients:
            assert client.read_to_close() == b""

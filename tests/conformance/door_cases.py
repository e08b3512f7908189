"""Who may come in, and how: authentication (-Y), shutdown (-A), idle_timeout, listeners of one protocol."""

import signal
import time
from contextlib import ExitStack

from harness import Context, case
from command_line_cases import connect_when_up, start_listening
from lib.client import Client
from lib.ports import free_port
from lib.server import Server
from stats_cases import wait_for
from story import shorten

USERS = "user:pass\nbob:b:c d\nempty:\n:nobody\n"
UNAUTHENTICATED = b"CLIENT_ERROR unauthenticated\r\n"
FAILED = b"CLIENT_ERROR authentication failure\r\n"
BAD_FORMAT = b"CLIENT_ERROR bad authentication token format\r\n"
BAD_END = b"CLIENT_ERROR bad command line termination\r\n"
TOO_LONG = b"CLIENT_ERROR auth token too long\r\n"
STORED = b"STORED\r\n"


def credentials(text: str) -> bytes:
    return f"set any 0 0 {len(text)}\r\n{text}\r\n".encode()


LET_IN = credentials("user pass")

# What a new client sends, and what it reads. A command that is served shows whether it was let in.
FIRST = (
    (b"get a\r\n", UNAUTHENTICATED),
    (b"version\r\n", UNAUTHENTICATED),
    (b"stats\r\n", UNAUTHENTICATED),
    (b"shutdown\r\n", UNAUTHENTICATED),
    (b"add any 0 0 9\r\n", UNAUTHENTICATED),
    (b"SET any 0 0 9\r\n", UNAUTHENTICATED),
    (b" set any 0 0 9\r\n", UNAUTHENTICATED),
    (b"set any 0 0\r\n", UNAUTHENTICATED),
    (b"set any 0 0 x\r\n", UNAUTHENTICATED),
    (b"set any 0 0 -1\r\n", UNAUTHENTICATED),
    (b"set any 0 0 9x\r\n", UNAUTHENTICATED),
    (b"set any 0 0 4294967296\r\n", UNAUTHENTICATED),
    (b"set any 0 0 16385\r\n", TOO_LONG),
    (b"set any 0 0 4294967295\r\n", TOO_LONG),
    (LET_IN, STORED),
    (b"set any x y 09 noreply 1 2 3\r\nuser pass\r\n", STORED),
    (b"set " + b"k" * 300 + b" 0 0 9\r\nuser pass\r\n", STORED),
    (credentials("bob b:c d"), STORED),
    (credentials("empty "), STORED),
    (credentials(" nobody"), STORED),
    (credentials("user pas"), FAILED),
    (credentials("user passs"), FAILED),
    (credentials("user  pass"), FAILED),
    (credentials("User pass"), FAILED),
    (credentials("bob b:c"), FAILED),
    (credentials("user pass" + " " * 3000), FAILED),
    (credentials("userpass"), BAD_FORMAT),
    (credentials("user\tpass"), BAD_FORMAT),
    (credentials(""), BAD_FORMAT),
    (b"set any 0 0 9\r\nuser pass\n\n", BAD_END),
)


def with_users(context: Context, text: str = USERS):
    """A scratch folder with a user file, and the option that names it."""
    scratch = context.target.program.scratch()
    scratch.outside.chmod(0o755)
    (scratch.outside / "users").write_text(text)
    return scratch, ("-Y", str(scratch.inside / "users"))


@case("doors: -Y: what a client reads before it is let in", needs_server=False, old="-Y is newer")
def before(context: Context) -> None:
    scratch, option = with_users(context)
    with scratch, context.target.start(*option) as server:
        clients = [server.connect() for _ in FIRST]
        for client, (request, _) in zip(clients, FIRST):
            client.send(request)
        for client, (request, reply) in zip(clients, FIRST):
            assert client.read(len(reply)) == reply, request
            # And what follows: none of these but the first kind opens the door.
            asked = client.ask(b"get any\r\n", b"\r\n")
            assert asked == (b"END\r\n" if reply == STORED else UNAUTHENTICATED), (request, asked)
            client.close()
        with server.connect() as client:
            assert client.ask(LET_IN) == STORED
            stats = client.stats()
            assert (stats["auth_cmds"], stats["auth_errors"]) == ("13", "6"), stats
            settings = client.stats("settings")
            assert settings["auth_enabled_ascii"] == option[1]
            assert settings["auth_enabled_sasl"] == "no"
            assert settings["binding_protocol"] == "ascii"
            # From here on a set is a set.
            assert client.ask(LET_IN) == STORED
            assert client.ask(b"get any\r\n", b"END\r\n") == (
                b"VALUE any 0 9\r\nuser pass\r\nEND\r\n")


@case("doors: -Y: lines too short to be a command close", needs_server=False, old="-Y is newer")
def short_lines(context: Context) -> None:
    scratch, option = with_users(context)
    with scratch, context.target.start(*option) as server:
        for line in (b"mn\r\n", b"quit\r\n", b"me x\r\n", b"set \r\n", b"xxxxx\n"):
            with server.connect() as client:
                client.send(line)
                assert client.read_to_close() == b"", line
        with server.connect() as client:
            client.send(b"x" * 2049)
            assert client.read_to_close() == b""


@case("doors: -Y: credentials split at every byte, and a command behind them", needs_server=False,
      old="-Y is newer")
def split(context: Context) -> None:
    scratch, option = with_users(context)
    with scratch, context.target.start(*option) as server:
        sent = LET_IN + b"get any\r\n"
        for at in range(1, len(sent)):
            with server.connect() as client:
                client.send(sent[:at])
                time.sleep(0.002)
                client.send(sent[at:])
                assert client.read(len(STORED) + 5) == STORED + b"END\r\n", at


@case("doors: -Y: a wrong password waits, what stands behind it too, and nobody else",
      needs_server=False, only="torc")
def penalty(context: Context) -> None:
    scratch, option = with_users(context)
    with scratch, context.target.start(*option) as server:
        with server.connect() as guesser, server.connect() as other, server.connect() as gone:
            gone.send(credentials("user wrong"))
            gone.close()
            start = time.monotonic()
            guesser.send(credentials("user wrong") + LET_IN + b"get a\r\n")
            assert other.ask(LET_IN) == STORED
            wanted = FAILED + STORED + b"END\r\n"
            assert guesser.read(len(wanted)) == wanted
            assert time.monotonic() - start >= 1, "it must be slow to guess"
            failures = other.stats("failures")
            assert failures["auth_failed"] == "2", failures
        # One that waits does not hold up the end.
        with server.connect() as guesser:
            guesser.send(credentials("user wrong"))
            assert server.stop() == 0


@case("doors: -Y: the file is read again on SIGHUP, and a broken one is not taken",
      needs_server=False, old="-Y is newer")
def reread(context: Context) -> None:
    scratch, option = with_users(context)

    def replies(text: str) -> bytes:
        with server.connect() as client:
            client.send(credentials(text))
            return client.read(len(STORED))

    with scratch, context.target.start(*option) as server:
        assert replies("user pass") == STORED
        file = scratch.outside / "users"
        file.write_text("user:other\nnew:word\n")
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: replies("new word") == STORED, "the new user is let in")
        assert replies("user other") == STORED
        assert replies("user pass") == FAILED[:len(STORED)]
        # memcached's own word for it is not asked for: that it keeps the old users is.
        file.write_text("user:third\nno colon\n")
        server.process.send_signal(signal.SIGHUP)
        if context.target.kind == "torc":
            with server.connect() as client:
                client.ask(LET_IN.replace(b"9", b"10").replace(b"pass", b"other"))
                wait_for(lambda: client.stats("failures")["auth_file_refused"] == "1", "refusal")
        assert replies("user other") == STORED
        assert replies("user third") == FAILED[:len(STORED)]


# Exit statuses of what cannot be; the words are each server's own.
REFUSED = (
    (("-Y", "/no/such/file"), 1),
    (("-Y", "USERS", "-B", "binary"), 64),
    (("-Y", "USERS", "-B", "auto"), 64),
    (("-Y", "USERS", "-U", "PORT"), 64),
    (("-S", "-B", "ascii"), 64),
    (("-S", "-B", "auto"), 64),
    (("-B", "foo"), 64),
    (("-o", "idle_timeout"), 1),
    (("-l", "proto[ascii:127.0.0.1:PORT"), 71),
    (("-l", "tag[]:127.0.0.1:PORT"), 71),
    (("-l", "tag[123456789]:127.0.0.1:PORT"), 71),
    (("-l", "notls:127.0.0.1:PORT"), 71),
    (("-Y", "USERS", "-l", "proto[binary]:127.0.0.1:PORT"), 71),
)


@case("doors: options that leave a door open, or make none, are refused", needs_server=False,
      old="-Y and proto[] are newer")
def refused(context: Context) -> None:
    scratch, option = with_users(context)
    with scratch:
        for words, status in REFUSED:
            port = str(free_port())
            words = [w.replace("USERS", option[1]).replace("PORT", port) for w in words]
            where = [] if "-l" in words else ["-l", "127.0.0.1", "-p", str(free_port())]
            ended = context.target.program.run(*where, *words, timeout=context.target.timeout)
            assert ended.returncode == status, (words, ended)
            assert ended.stderr, words
        for text in ("", "no colon\n", "a:b\n\n"):
            (scratch.outside / "users").write_text(text)
            ended = context.target.program.run("-l", "127.0.0.1", "-p", str(free_port()), *option,
                                               timeout=context.target.timeout)
            assert ended.returncode == 1 and ended.stderr, (text, ended)


@case("doors: -A: shutdown ends the server", needs_server=False)
def shutdown(context: Context) -> None:
    for command in (b"shutdown\r\n", b"shutdown graceful\r\n"):
        with context.target.start("-A") as server:
            with server.connect() as client:
                assert client.stats("settings")["shutdown_command"] == "yes"
                reply = b"CLIENT_ERROR invalid shutdown mode\r\n"
                for wrong in (b"shutdown foo\r\n", b"shutdown graceful x\r\n"):
                    assert client.ask(wrong, b"\r\n") == reply, wrong
                client.send(command)
                assert client.read_to_close() == b""
            assert server.process.wait(context.target.timeout) == 0, server.report()


# What a client may have sent when it falls silent; and what it sends, and reads, later on if it is
# still there.
SILENT = (b"", b"mn\r\n", b"get a", b"get " + b"key " * 300, bytes.fromhex("800a") + bytes(8),
          bytes.fromhex("8000000a 00000000 0000000a") + bytes(12) + b"hal")
INSIDE_A_VALUE = (
    (b"set a 0 0 10\r\n", b"0123456789\r\n", b"STORED\r\n"),
    (b"set a 0 0 5\r\nabc", b"de\r\n", b"STORED\r\n"),
    (b"ms a 10000\r\n" + b"x" * 9000, b"x" * 1000 + b"\r\n", b"HD\r\n"),
    (b"set a 0 0 9000000\r\nabc", b"x" * 8999997 + b"\r\n",
     b"SERVER_ERROR object too large for cache\r\n"),
    (bytes.fromhex("80010001 08000000 0000000c") + bytes(20) + b"abc", b"d",
     bytes.fromhex("81010000 00000000 00000000") + bytes(4)),
)


@case("doors: -o idle_timeout closes who asks for nothing, and nobody else", needs_server=False)
def idle(context: Context) -> None:
    # Long enough for a busy machine not to take the one that asks for idle.
    with ExitStack() as stack:
        server = stack.enter_context(context.target.start("-o", "idle_timeout=3"))
        busy, slow = (stack.enter_context(server.connect()) for _ in range(2))
        assert busy.stats("settings")["idle_timeout"] == "3"
        silent = [stack.enter_context(server.connect()) for _ in SILENT]
        inside = [stack.enter_context(server.connect()) for _ in INSIDE_A_VALUE]
        for client, sent in zip(silent, SILENT):
            client.send(sent)
        for client, (sent, _, _) in zip(inside, INSIDE_A_VALUE):
            client.send(sent)
        deadline = time.monotonic() + 60
        while int(busy.stats()["idle_kicks"]) < len(SILENT) + 1 and time.monotonic() < deadline:
            try:
                slow.send(b"g")  # a command that never ends
            except OSError:
                pass
            time.sleep(0.1)
        for client, sent in zip(silent, SILENT):
            said = client.read_to_close()
            assert said == (b"MN\r\n" if sent == b"mn\r\n" else b""), (sent, said)
        for client, (sent, rest, reply) in zip(inside, INSIDE_A_VALUE):
            client.send(rest)
            said = client.read(len(reply))
            assert said == reply, (shorten(sent), said)
        assert busy.stats()["idle_kicks"] == str(len(SILENT) + 1)


@case("doors: listeners with a protocol and a tag of their own", needs_server=False,
      old="proto[] is newer")
def listeners(context: Context) -> None:
    one, two, three = free_port(), free_port(), free_port()
    where = ("-l", f"proto[ascii]:tag[one]:127.0.0.1:{one},tag_two_:127.0.0.1:{two}",
             "-l", f"proto[auto]:127.0.0.1:{three}")
    with start_listening(context, *where) as server:
        for port in (one, two, three):
            with connect_when_up(server, ("127.0.0.1", port)) as client:
                assert client.ask(b"set a 0 0 1\r\nx\r\n") == STORED, port


@case("doors: a UNIX socket beside TCP", needs_server=False, only="torc")
def unix_beside(context: Context) -> None:
    with context.target.program.scratch() as scratch:
        port = free_port()
        path = scratch.inside / "socket"
        where = ("-l", f"127.0.0.1:{port},unix:{path}", "-a", "777")
        with start_listening(context, *where) as server:
            with connect_when_up(server, ("127.0.0.1", port)) as client:
                assert client.ask(b"set a 0 0 1\r\nx\r\n") == STORED
            with Client(str(scratch.outside / "socket")) as client:
                assert client.ask(b"get a\r\n", b"END\r\n") == b"VALUE a 0 1\r\nx\r\nEND\r\n"
                assert client.stats("settings")["domain_socket"] == str(path)
        assert not (scratch.outside / "socket").exists()

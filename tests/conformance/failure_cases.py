"""Failures, told apart: whatever goes wrong moves its own counter of `stats failures`, and no other.

What clients read for it is in the stories; what cannot be provoked from outside is in
tests/simulation/faults_test.cc."""

import re
import socket
import struct
import time
from pathlib import Path

from harness import Context, case
from lib.client import Client
from stats_cases import wait_for

PAGE = Path(__file__).resolve().parents[2] / "docs/errors.md"
BAD_FORMAT = b"CLIENT_ERROR bad command line format\r\n"

# What is sent, what is read, and the counters that it moves.
REQUESTS = (
    (b"bogus\r\n", b"ERROR\r\n", "unknown_command"),
    (b"bogus noreply\r\n", b"", "unknown_command"),
    (b"\r\n", BAD_FORMAT, "line_too_short"),
    (b"get\r\n", BAD_FORMAT, "too_few_tokens"),
    (b"get " + b"k" * 251 + b"\r\n", BAD_FORMAT, "key_too_long"),
    (b"get a " + b"k" * 251 + b" b\r\n", BAD_FORMAT, "key_too_long"),
    (b"delete " + b"k" * 251 + b" noreply\r\n", b"", "key_too_long"),
    (b"set a 0 0 -1\r\n", BAD_FORMAT, "bad_value_size"),
    (b"set a x 0 1\r\n1\r\n", BAD_FORMAT, "bad_client_flags"),
    (b"set a x 0 1 noreply\r\n1\r\n", b"", "bad_client_flags"),
    (b"set a 0 x 1\r\n1\r\n", BAD_FORMAT, "bad_store_exptime"),
    (b"cas a 0 0 1 x\r\n1\r\n", BAD_FORMAT, "bad_cas"),
    (b"verbosity x\r\n", BAD_FORMAT, "bad_verbosity"),
    (b"touch a x\r\n", b"CLIENT_ERROR invalid exptime argument\r\n", "bad_exptime"),
    (b"incr a x\r\n", b"CLIENT_ERROR invalid numeric delta argument\r\n", "bad_delta"),
    (b"stats nonsense\r\n", b"ERROR\r\n", "unknown_stats"),
    (b"set a 0 0 1\r\n1234\r\n", b"CLIENT_ERROR bad data chunk\r\n", "bad_data_chunk"),
    (b"set a 0 0 1 noreply\r\nx\r\nincr a 1\r\n",
     b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n", "not_a_number"),
    (b"incr a 1 noreply\r\n", b"", "not_a_number"),
    (b"set a 0 0 2000000\r\n" + b"x" * 2000000 + b"\r\n",
     b"SERVER_ERROR object too large for cache\r\n", "value_too_large"),
    (b"set a 0 0 2000000 noreply\r\n" + b"x" * 2000000 + b"\r\n", b"", "value_too_large"),
    (b"set a 0 0 600000 noreply\r\n" + b"x" * 600000 + b"\r\nappend a 0 0 600000\r\n"
     + b"x" * 600000 + b"\r\n", b"NOT_STORED\r\n", "concat_too_large"),
    (b"append none 0 0 1\r\nx\r\n", b"NOT_STORED\r\n", ""),
    (b"get none\r\n", b"END\r\n", ""),
    (b"shutdown\r\n", b"SERVER_ERROR: shutdown not enabled\r\n", "shutdown_disabled"),
    (b"flush_all\r\n", b"CLIENT_ERROR flush_all not allowed\r\n", "flush_disabled"),
)


def moved(client: Client, before: dict[str, str]) -> dict[str, int]:
    after = client.stats("failures")
    return {name: int(after[name]) - int(before[name]) for name in after
            if after[name] != before[name]}


@case("failures: stats failures has the counters of docs/errors.md, in its order", only="torc",
      server=())
def documented(context: Context) -> None:
    with context.connect() as client:
        counters = client.stats("failures")
    assert list(counters) == re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE)
    assert set(counters.values()) == {"0"}, counters


@case("failures: each request that fails moves its own counter, with noreply too", only="torc",
      server=("-F",))
def requests(context: Context) -> None:
    with context.connect() as client, context.connect() as watcher:
        for request, reply, counter in REQUESTS:
            before = watcher.stats("failures")
            client.send(request)
            answer = client.ask(b"mn\r\n", b"MN\r\n")
            # A value that is too long leaves its end behind, which is a command then.
            if counter == "bad_data_chunk":
                assert answer.startswith(reply), (request[:40], answer)
                assert moved(watcher, before)["bad_data_chunk"] == 1
                continue
            assert answer == reply + b"MN\r\n", (request[:40], answer)
            wanted = {counter: 1} if counter else {}
            assert moved(watcher, before) == wanted, (request[:40], moved(watcher, before))
        assert watcher.stats()["store_too_large"] == "2"
        assert watcher.ask(b"stats reset\r\n") == b"RESET\r\n"
        assert set(watcher.stats("failures").values()) == {"0"}


@case("failures: connections that end for a cause", only="torc", server=())
def connections(context: Context) -> None:
    def ends(counter: str, request: bytes, end=lambda client: client.read_to_close()) -> None:
        before = watcher.stats("failures")
        with context.connect() as client:
            client.ask(b"mn\r\n")
            client.sock.sendall(request)
            end(client)
            wait_for(lambda: counter in moved(watcher, before), counter)
        assert moved(watcher, before) == {counter: 1}, moved(watcher, before)

    def reset(client: Client) -> None:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()

    with context.connect() as watcher:
        ends("line_too_long", b"x" * 3000)
        ends("http_request", b"GET / HTTP/1.1\r\n")
        ends("connection_reset", b"", reset)
        ends("value_cut_off", b"set a 0 0 100\r\nx", lambda client: client.half_close())
        before = watcher.stats("failures")
        with context.connect() as client:
            client.ask(b"quit\r\n", b"never")
            assert not client.is_open()
        with context.connect() as client:
            client.half_close()
            client.read_to_close()
        assert moved(watcher, before) == {}, "a quit and a half-close are no failures"


@case("failures: a full -M, and memcached's counter of it", only="torc", server=("-m", "8", "-M"))
def no_eviction(context: Context) -> None:
    value = b" 0 0 100000\r\n" + b"x" * 100000 + b"\r\n"
    with context.connect() as client:
        answers = [client.ask(b"set key%d" % at + value) for at in range(200)]
        refused = sum(answer.startswith(b"SERVER_ERROR") for answer in answers)
        assert refused > 50
        assert client.stats("failures")["store_no_eviction"] == str(refused)
        assert client.stats()["store_no_memory"] == str(refused)


@case("failures: -v says a cause once a second, without it nothing is said", only="torc",
      needs_server=False)
def verbose(context: Context) -> None:
    line = b"torc: unknown_command: a command that torc does not know"
    for option in ("-v", "-vv"):
        with context.target.start() as server, server.connect() as client:
            client.ask(b"bogus\r\n")
            assert server.output() == b"", server.output()
        with context.target.start(option) as server, server.connect() as client:
            began = time.monotonic()
            client.ask(b"bogus\r\n" * 20, b"ERROR\r\n" * 20)
            seconds = int(time.monotonic() - began)
            said = server.output().count(line)
            least, most = (1, 1 + seconds) if option == "-v" else (20, 20)
            assert least <= said <= most, (option, server.output())

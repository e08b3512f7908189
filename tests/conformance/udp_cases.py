"""UDP: frames, replies in several datagrams, what is dropped in silence, and what others notice.

Replies to one datagram's commands are compared in one piece, put together from their datagrams as a
client does it. Where memcached cuts is compared as well, but for what DIFFERENCES.md says.
"""

import socket
import struct
import time

from harness import Context, case
from lib.ports import free_port
from lib.server import Server
from operator_cases import connections
from stats_cases import wait_for
from story import shorten

HEADER = struct.Struct(">HHHH")
DATAGRAM_MAX = 1400


def start(context: Context, *args: str) -> tuple[Server, int]:
    """A server with UDP on a port of its own."""
    port = free_port()
    return context.target.start("-U", str(port), *args), port


class UdpClient:
    """Sends datagrams, and reads replies up to one that it knows must be the last."""

    def __init__(self, port: int, timeout: float, host: str = "127.0.0.1"):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        # Room for a large reply: what does not fit is lost.
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.sock.connect((host, port))
        self.sock.settimeout(timeout)
        self.request_id = 0x1230

    def __enter__(self) -> "UdpClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, payload: bytes, sequence: int = 0, datagrams: int = 1, reserved: int = 0) -> int:
        self.request_id += 1
        header = HEADER.pack(self.request_id, sequence, datagrams, reserved)
        self.sock.send(header + payload)
        return self.request_id

    def replies(self, request_id: int, end: bytes) -> list[bytes]:
        """The replies to a request, up to and with the first whose bytes end in `end`."""
        replies, reply = [], b""
        expected = 0
        while True:
            datagram = self.sock.recv(70000)
            assert len(datagram) <= DATAGRAM_MAX, len(datagram)
            found_id, sequence, datagrams, reserved = HEADER.unpack_from(datagram)
            assert found_id == request_id, f"a reply to {found_id:#x}, not {request_id:#x}"
            if datagrams == 0:  # memcached's word for nothing: DIFFERENCES.md
                assert len(datagram) == HEADER.size
                continue
            assert reserved == 0
            assert sequence == expected, f"datagram {sequence} after {expected - 1}"
            if sequence + 1 < datagrams:
                assert len(datagram) == DATAGRAM_MAX, "one that is not full, and not the last"
            reply += datagram[HEADER.size :]
            expected += 1
            if expected == datagrams:
                replies.append(reply)
                if reply.endswith(end):
                    return replies
                reply, expected = b"", 0

    def ask(self, payload: bytes, end: bytes, **header: int) -> list[bytes]:
        return self.replies(self.send(payload, **header), end)

    def says(self, payload: bytes, *expected: bytes, **header: int) -> None:
        """Fails unless exactly these replies come, and nothing between them and the next request's."""
        replies = self.ask(payload, expected[-1], **header)
        assert replies == list(expected), f"{shorten(payload)}: {replies}"
        self.is_silent()

    def is_silent(self) -> None:
        """Nothing has come, or comes before the reply to what is sent now."""
        assert self.ask(b"verbosity 0\r\n", b"OK\r\n") == [b"OK\r\n"]


@case("udp: off unless asked for", needs_server=False)
def off(context: Context) -> None:
    with context.target.start() as server, server.connect() as client:
        assert client.stats("settings")["udpport"] == "0"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", server.port))  # nobody has it


@case("udp: commands and their replies", needs_server=False)
def commands(context: Context) -> None:
    server, port = start(context)
    with server, UdpClient(port, context.target.timeout) as udp, server.connect() as tcp:
        settings = tcp.stats("settings")
        assert settings["udpport"] == str(port), settings["udpport"]
        assert settings["num_threads_per_udp"] == settings["num_threads"]
        udp.says(b"set a 5 0 3\r\nabc\r\n", b"STORED\r\n")
        udp.says(b"get a\r\n", b"VALUE a 5 3\r\nabc\r\nEND\r\n")
        assert tcp_get(tcp, b"a") == b"VALUE a 5 3\r\nabc\r\nEND\r\n"
        udp.says(b"get nothing\r\n", b"END\r\n")
        udp.says(b"foo\r\n", b"ERROR\r\n")
        udp.says(b"set n 0 0 2\r\n10\r\n", b"STORED\r\n")
        udp.says(b"incr n 5\r\n", b"15\r\n")
        udp.says(b"delete n\r\n", b"DELETED\r\n")
        udp.says(b"\x00\x01\r\n", b"ERROR\r\n")
        udp.says(b"\n", b"CLIENT_ERROR bad command line format\r\n")
        stats = udp.ask(b"stats\r\n", b"END\r\n")
        assert len(stats) == 1 and stats[0].startswith(b"STAT pid "), stats
        udp.says(b"flush_all\r\n", b"OK\r\n")
        udp.says(b"get a\r\n", b"END\r\n")


@case("udp: each datagram speaks what its first byte says, whatever -B asks of connections",
      needs_server=False)
def protocols(context: Context) -> None:
    version = bytes.fromhex("800b") + bytes(22)
    version_reply = bytes.fromhex("810b000000000000 00000006") + bytes(12) + b"1.6.45"
    for protocol in ("auto", "ascii", "binary"):
        port = free_port()
        with context.target.start("-B", protocol, listen=udp_alone(port)):
            wait_for_answer(port)
            with UdpClient(port, context.target.timeout) as udp:
                for _ in range(2):
                    udp.says(b"version\r\n", b"VERSION 1.6.45\r\n")
                    udp.says(version, version_reply)


@case("udp: stats conns shows the sockets", needs_server=False, old="1.6.18 shows other lines")
def conns(context: Context) -> None:
    server, port = start(context)
    with server, server.connect() as tcp:
        found = [row for row in connections(tcp).values() if "UDP" in row]
        assert found, connections(tcp)
        for row in found:
            assert list(row) == ["UDP", "addr", "state", "secs_since_last_cmd"], row
            assert row["UDP"] == "UDP" and row["state"] == "conn_read", row
            assert row["addr"] == f"udp:127.0.0.1:{port}", row


@case("udp: several commands in one datagram are answered one by one, in order",
      needs_server=False)
def several(context: Context) -> None:
    server, port = start(context)
    with server, UdpClient(port, context.target.timeout) as udp:
        udp.says(b"set a 0 0 1\r\nx\r\nset b 0 0 1\r\ny\r\nget a\r\nget b\r\nversion\r\nmn\r\n",
                 b"STORED\r\n", b"STORED\r\n", b"VALUE a 0 1\r\nx\r\nEND\r\n",
                 b"VALUE b 0 1\r\ny\r\nEND\r\n", b"VERSION 1.6.45\r\n", b"MN\r\n")
        # Each value has its own numbers, END those of the last.
        udp.says(b"get a b a\r\n", b"VALUE a 0 1\r\nx\r\n", b"VALUE b 0 1\r\ny\r\n",
                 b"VALUE a 0 1\r\nx\r\nEND\r\n")
        whole = b"".join(udp.ask(b"get none a none b none\r\n", b"END\r\n"))
        assert whole == b"VALUE a 0 1\r\nx\r\nVALUE b 0 1\r\ny\r\nEND\r\n", whole


@case("udp: what asks for no answer gets none", needs_server=False)
def quiet(context: Context) -> None:
    server, port = start(context)
    with server, UdpClient(port, context.target.timeout) as udp:
        udp.send(b"set a 0 0 1 noreply\r\nx\r\n")
        udp.is_silent()
        # Another datagram's command may be executed before it is.
        wait_for(lambda: udp.ask(b"get a\r\n", b"END\r\n") != [b"END\r\n"], "a is stored")
        udp.says(b"get a\r\nset a 0 0 1 noreply\r\ny\r\nget a\r\n",
                 b"VALUE a 0 1\r\nx\r\nEND\r\n", b"VALUE a 0 1\r\ny\r\nEND\r\n")


@case("udp: a large value comes in full datagrams, numbered, in order", needs_server=False)
def large(context: Context) -> None:
    server, port = start(context)
    with server, UdpClient(port, context.target.timeout) as udp, server.connect() as tcp:
        sizes = [*range(1364, 1376), 2756, 2757, 4096, 4097, 16384, 20000, 65000]
        for size in sizes:
            value = bytes(range(256)) * (size // 256 + 1)
            command = b"set v%d 0 0 %d\r\n%s\r\n" % (size, size, value[:size])
            assert tcp.ask(command) == b"STORED\r\n"
            wanted = b"VALUE v%d 0 %d\r\n%s\r\nEND\r\n" % (size, size, value[:size])
            for _ in range(3):
                udp.says(b"get v%d\r\n" % size, wanted)
        keys = b" ".join(b"v%d" % size for size in sizes)
        assert b"".join(udp.ask(b"get " + keys + b"\r\n", b"END\r\n")) == tcp_get(tcp, keys)


def tcp_get(tcp, keys: bytes) -> bytes:
    tcp.send(b"get " + keys + b"\r\nmn\r\n")
    return tcp.read_until(b"END\r\nMN\r\n")[: -len(b"MN\r\n")]


@case("udp: a value comes in one datagram, up to the largest there is", needs_server=False)
def large_stores(context: Context) -> None:
    server, port = start(context)
    with server, UdpClient(port, context.target.timeout) as udp, server.connect() as tcp:
        for size in (1400, 4096, 16384, 20000, 60000, 65450):
            value = b"s" * size
            udp.says(b"set k 0 0 %d\r\n%s\r\n" % (size, value), b"STORED\r\n")
            assert tcp_get(tcp, b"k") == b"VALUE k 0 %d\r\n%s\r\nEND\r\n" % (size, value)


@case("udp: what is no request in one datagram is dropped in silence", needs_server=False)
def dropped(context: Context) -> None:
    server, port = start(context)
    with server, UdpClient(port, context.target.timeout) as udp, server.connect() as tcp:
        for payload in (b"", b"\0\1", b"\0\1\0\0\0\1\0\0"):
            udp.sock.send(payload)
        for sequence, datagrams in ((0, 2), (1, 2), (0, 0), (0, 257)):
            udp.send(b"version\r\n", sequence, datagrams)
        udp.is_silent()
        udp.says(b"version\r\n", b"VERSION 1.6.45\r\n", sequence=7, reserved=9)
        if context.target.kind == "torc":
            failures = tcp.stats("failures")
            assert failures["datagram_no_request"] == "7", failures["datagram_no_request"]
        udp.send(b"ver")
        udp.send(b"get a")
        udp.is_silent()
        udp.says(b"mn\r\nget", b"MN\r\n")
        udp.says(b"mn\r\n", b"MN\r\n")


@case("udp: a value that is not all there is not stored, and swallows no other datagram",
      needs_server=False, only="torc")
def cut_off(context: Context) -> None:
    server, port = start(context)
    with server, UdpClient(port, context.target.timeout) as udp, server.connect() as tcp:
        for command in (b"set i 0 0 10\r\nabc", b"set i 0 0 10\r\n", b"set i 0 0 9999999\r\nabc\r\n",
                        b"set i 0 0 100000\r\n" + b"x" * 50000):
            udp.send(command)
            udp.is_silent()
            udp.says(b"mn\r\n", b"MN\r\n")
        assert tcp.ask(b"get i\r\n") == b"END\r\n"


@case("udp: many clients at once, each has its own replies", needs_server=False)
def many(context: Context) -> None:
    server, port = start(context)
    with server, server.connect() as tcp:
        for i in range(50):
            assert tcp.ask(b"set k%d 0 0 3000\r\n%s\r\n" % (i, b"%04d" % i * 750)) == b"STORED\r\n"
        clients = [UdpClient(port, context.target.timeout) for _ in range(50)]
        for _ in range(5):
            ids = [c.send(b"get k%d\r\n" % i) for i, c in enumerate(clients)]
            for i, client in enumerate(clients):
                wanted = b"VALUE k%d 0 3000\r\n%s\r\nEND\r\n" % (i, b"%04d" % i * 750)
                assert client.replies(ids[i], b"END\r\n") == [wanted]
        for client in clients:
            client.sock.close()


@case("udp: a flood loses datagrams, and nothing else", needs_server=False, only="torc")
def flood(context: Context) -> None:
    server, port = start(context)
    with server, UdpClient(port, context.target.timeout) as udp, server.connect() as tcp:
        assert tcp.ask(b"set v 0 0 100000\r\n" + b"x" * 100000 + b"\r\n") == b"STORED\r\n"
        with UdpClient(port, context.target.timeout) as flooding:
            for _ in range(2000):
                flooding.send(b"get v v v v\r\n")
            assert tcp.ask(b"mn\r\n") == b"MN\r\n"
            assert int(tcp.stats()["cmd_get"]) > 0
    # Stopping waits for what is being served.


def udp_alone(port: int) -> tuple[str, ...]:
    """Options for a server without TCP, which nothing waits for."""
    return ("-l", "127.0.0.1", "-p", "0", "-U", str(port))


def wait_for_answer(port: int) -> None:
    deadline = time.monotonic() + 20
    with UdpClient(port, 1) as udp:
        while True:
            try:
                request_id = udp.send(b"version\r\n")
                assert udp.replies(request_id, b"\r\n") == [b"VERSION 1.6.45\r\n"]
                return
            except (ConnectionRefusedError, TimeoutError):
                assert time.monotonic() < deadline, "no answer"
                time.sleep(0.01)


@case("udp: a server without TCP, and one whose clients are gone", needs_server=False)
def alone(context: Context) -> None:
    port = free_port()
    with context.target.start(listen=udp_alone(port)):
        wait_for_answer(port)
        with UdpClient(port, 1) as gone:
            gone.send(b"version\r\n")

"""Dumps, and what operators change: what the lines hold, and that the effects are real. How the
commands are read is in stories/operators.story."""

import re
import time
from collections import Counter
from urllib.parse import unquote_to_bytes

from harness import Context, case
from lib.client import Client

METADUMP_LINE = re.compile(
    rb"key=(\S+) exp=(-1|\d+) la=(\d+) cas=(\d+) fetch=(yes|no) cls=(\d+) size=(\d+) flags=(\d+) \n"
)
ODD_KEY = b"odd%%\x01\x7f\xc3\xa9/.-_~*'()!"


def store(client: Client, items: dict[bytes, bytes], flags: int = 0, exptime: int = 0) -> None:
    for key, value in items.items():
        client.send(b"set %s %d %d %d noreply\r\n%s\r\n" % (key, flags, exptime, len(value), value))
    assert client.ask(b"mn\r\n") == b"MN\r\n"


def dump(client: Client, command: bytes, end: bytes = b"END\r\n") -> list[bytes]:
    """The lines of a dump, between its OK and its end."""
    deadline = time.monotonic() + client.timeout
    while (answer := client.ask(command + b"\r\n")) != b"OK\r\n":
        # memcached looks for the expired now and then, and does one thing at a time.
        assert answer.startswith(b"BUSY") and time.monotonic() < deadline, answer
        time.sleep(0.05)
    lines = []
    # Most lines end in a bare line feed.
    while (line := client.read_until(b"\n")) != end:
        assert line, "the dump has an end"
        lines.append(line)
    return lines


def until(holds, what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@case("dumps: every field of metadump's line", server=(),
      old="1.6.18 has no flags and ends lines otherwise", walks=True)
def metadump_fields(context: Context) -> None:
    with context.connect() as client:
        began = int(time.time())
        store(client, {b"plain": b"value"}, flags=7)
        store(client, {ODD_KEY: b"value"}, exptime=1000)
        client.ask(b"get plain\r\n", end=b"END\r\n")
        cas = re.search(rb"VALUE plain 7 5 (\d+)\r\n",
                        client.ask(b"gets plain\r\n", end=b"END\r\n"))[1]
        fields = {}
        # By the hash table: memcached misses items whose queues it sorts meanwhile.
        for line in dump(client, b"lru_crawler metadump hash"):
            match = METADUMP_LINE.fullmatch(line)
            assert match, line
            fields[unquote_to_bytes(match[1])] = match.groups()[1:]
        assert set(fields) == {b"plain", ODD_KEY}, fields
        exp, la, got_cas, fetch, _, size, flags = fields[b"plain"]
        assert (exp, got_cas, fetch, flags) == (b"-1", cas, b"yes", b"7"), fields
        assert abs(int(la) - began) <= 3 and int(size) > 10
        exp, la, _, fetch, _, _, flags = fields[ODD_KEY]
        assert (fetch, flags) == (b"no", b"0") and abs(int(exp) - began - 1000) <= 3, fields
        assert any(b"key=odd%25%25%01%7F%C3%A9%2F.-_~%2A%27%28%29%21 " in line
                   for line in dump(client, b"lru_crawler metadump hash"))
        assert sorted(dump(client, b"lru_crawler mgdump hash", b"EN\r\n")) == \
            sorted([b"mg plain\r\n", b"mg " + ODD_KEY + b"\r\n"])


@case("dumps: classes part the items, and cachedump shows one", server=(),
      old="1.6.18 ends lines otherwise", walks=True)
def classes(context: Context) -> None:
    with context.connect() as client:
        store(client, {b"small%d" % i: b"v" for i in range(20)})
        store(client, {b"large%d" % i: b"v" * 5000 for i in range(20)})
        classes = {}
        for line in dump(client, b"lru_crawler metadump hash"):
            key, _, _, _, _, number, _, _ = METADUMP_LINE.fullmatch(line).groups()
            classes.setdefault(int(number), set()).add(key)
        assert len(classes) >= 2 or context.target.engine == "map"
        for number, keys in classes.items():
            lines = dump(client, b"lru_crawler metadump %d" % number)
            dumped = {METADUMP_LINE.fullmatch(line)[1] for line in lines}
            shown = client.ask(b"stats cachedump %d 0\r\n" % number, end=b"END\r\n")
            items = re.findall(rb"ITEM (\S+) \[(\d+) b; 0 s\]\r\n", shown)
            shown_keys = {key for key, _ in items}
            assert {int(size) for _, size in items} <= {1, 5000}
            three = client.ask(b"stats cachedump %d 3\r\n" % number, end=b"END\r\n")
            # memcached shows those of one of its queues, and dumps what does not move meanwhile.
            if context.target.kind == "torc":
                assert shown_keys == dumped == keys
                assert three.count(b"ITEM ") == min(3, len(keys))
            else:
                assert shown_keys <= keys and dumped <= keys
        everything = b",".join(b"%d" % number for number in classes)
        lines = dump(client, b"lru_crawler metadump " + everything)
        assert len(lines) == 40 or context.target.kind == "memcached"
        items = client.stats("items")
        assert {int(name.split(":")[1]) for name in items} == set(classes)
        assert sum(int(value) for name, value in items.items() if name.endswith(":number")) == 40


@case("dumps: whatever stays is shown once while the rest changes", server=("-m", "64"),
      only="torc", walks=True)
def changes(context: Context) -> None:
    count = 2_000 if context.target.quick else 20_000
    with context.connect() as client, context.connect() as writer:
        store(client, {b"stays%d" % i: b"v" * (i % 100) for i in range(count)})
        client.send(b"lru_crawler metadump all\r\nget stays0\r\n")
        seen = Counter()
        done = False
        number = 0
        assert client.read_line() == b"OK\r\n"
        while not done:
            # New keys, old keys with other values, keys that go.
            store(writer, {b"comes%d" % i: b"v" * 30 for i in range(number, number + 200)})
            store(writer, {b"stays%d" % (i * 7919 % count): b"w" * (i % 300)
                           for i in range(number, number + 100)})
            writer.send(b"".join(b"delete comes%d noreply\r\n" % i
                                 for i in range(number, number + 100)))
            number += 200
            for _ in range(2_000):
                line = client.read_until(b"\n")
                if line == b"END\r\n":
                    done = True
                    break
                seen[METADUMP_LINE.fullmatch(line)[1]] += 1
        assert client.read_until(b"END\r\n").startswith(b"VALUE stays0 ")
        assert all(seen[b"stays%d" % i] == 1 for i in range(count))
        assert max(seen.values()) == 1


@case("dumps: a client that reads slowly holds little, and others go on", server=("-m", "64"),
      only="torc", walks=True)
def slow_reader(context: Context) -> None:
    # More than sockets buffer: every byte of such a key takes three in a dump.
    count = 40_000
    with context.connect() as client:
        for first in range(0, count, 1000):
            store(client, {b"%" * 200 + b"%d" % i: b"v" for i in range(first, first + 1000)})
        slow = [context.connect() for _ in range(8)]
        for one in slow:
            one.send(b"lru_crawler metadump all\r\n")
            assert one.read_line() == b"OK\r\n"
        # As many as may run do, and one more is told so. Each waits for its client.
        assert client.ask(b"lru_crawler mgdump all\r\n") == \
            b"BUSY currently processing crawler request\r\n"
        assert int(client.stats()["buffer_bytes"]) < 64 << 20
        assert client.ask(b"set key 0 0 1\r\nv\r\n") == b"STORED\r\n"
        assert client.ask(b"delete key\r\n") == b"DELETED\r\n"
        for one in slow[1:]:
            one.close()
        # One that is gone has made room.
        until(lambda: client.stats()["curr_connections"] == "2", "the others are closed")
        assert len(dump(client, b"lru_crawler mgdump all", b"EN\r\n")) == count
        lines = 0
        while slow[0].read_until(b"\n") != b"END\r\n":
            lines += 1
        assert lines == count
        slow[0].close()


@case("refs: pinned items appear and go", server=("-m", "200", "-I", "8m"), only="torc", walks=True)
def refs(context: Context) -> None:
    def listed(client: Client) -> dict[bytes, dict[bytes, bytes]]:
        text = client.ask(b"stats refs\r\n", end=b"END\r\n").removesuffix(b"END\r\n")
        rows = [dict(word.split(b"=") for word in line.split(b" ")[1:])
                for line in text.split(b"\r\n") if line]
        assert all(line.startswith(b"REF ") for line in text.split(b"\r\n") if line)
        return {row.pop(b"key"): row for row in rows}

    size = 8_000_000
    with context.connect() as client:
        store(client, {b"big%d" % i: b"v" * size for i in range(4)})
        assert listed(client) == {}
        # Values that fit no socket's buffers, and are not read.
        slow = [context.connect() for _ in range(3)]
        for one in slow:
            one.send(b"get big0\r\nget big1\r\n")
            assert one.read_line().startswith(b"VALUE big0 ")
        until(lambda: listed(client).get(b"big0", {}).get(b"refs") == b"3", "big0 is held thrice")
        rows = listed(client)
        assert b"big2" not in rows and b"big3" not in rows, rows
        assert rows[b"big0"][b"live"] == b"yes" and int(rows[b"big0"][b"size"]) > size
        assert int(rows[b"big0"][b"cls"]) > 0 and int(rows[b"big0"][b"secs"]) < 60
        assert client.ask(b"delete big0\r\n") == b"DELETED\r\n"
        assert listed(client)[b"big0"][b"live"] == b"no"
        for one in slow[:2]:
            one.close()
        until(lambda: listed(client).get(b"big0", {}).get(b"refs") == b"1", "one is left")
        # What was deleted is sent to its end.
        assert slow[2].read(size) == b"v" * size
        assert slow[2].read_until(b"END\r\n") == b"\r\nEND\r\n"
        assert len(slow[2].read_until(b"END\r\n")) > size
        until(lambda: listed(client) == {}, "nothing is held")
        slow[2].close()


@case("memory limit: raised and lowered while it runs", server=("-m", "64"), only="torc", walks=True)
def memory_limit(context: Context) -> None:
    value = b"v" * 1000
    with context.connect() as client:
        def fill(megabytes: int, first: int) -> None:
            for at in range(first, first + megabytes * 1000, 500):
                store(client, {b"key%d" % i: value for i in range(at, at + 500)})

        fill(60, 0)
        full_kb = context.server.resident_kb
        assert client.ask(b"cache_memlimit 16\r\n") == b"OK\r\n"
        assert client.stats()["limit_maxbytes"] == str(16 << 20)
        until(lambda: int(client.stats("slabs")["total_malloced"]) <= 16 << 20, "it shrinks")
        assert 0 < int(client.stats()["bytes"]) <= 16 << 20
        # The slab engine gives pages back by itself; what an allocator keeps is its own affair.
        if context.target.engine == "slab" and not context.server.is_sanitized:
            until(lambda: context.server.resident_kb < full_kb - (30 << 10), "the kernel has it")
        fill(20, 100_000)
        stats = client.stats()
        assert int(stats["bytes"]) <= 16 << 20 and stats["store_no_memory"] == "0", stats
        assert client.ask(b"cache_memlimit 100\r\n") == b"OK\r\n"
        evictions = int(client.stats()["evictions"])
        fill(60, 200_000)
        stats = client.stats()
        assert int(stats["bytes"]) > 60 << 20 and int(stats["evictions"]) < evictions + 5_000
        assert client.stats("settings")["maxbytes"] == str(100 << 20)


@case("slabs reassign: pages move, and are counted by class", server=("-m", "64"), only="torc",
      slab="other engines have no pages")
def reassign(context: Context) -> None:
    with context.connect() as client:
        for first in range(0, 40_000, 1000):
            store(client, {b"key%d" % i: b"v" * 1000 for i in range(first, first + 1000)})
        pages = {name.split(":")[0]: int(value) for name, value in client.stats("slabs").items()
                 if name.endswith(":total_pages")}
        number = max(pages, key=pages.get)
        assert client.ask(b"slabs reassign %s 0\r\n" % number.encode()) == b"OK\r\n"
        until(lambda: int(client.stats("slabs")[f"{number}:total_pages"]) < pages[number],
              "a page is gone")
        assert int(client.stats("slabs")[f"{number}:pages_moved"]) > 0
        assert int(client.stats()["slabs_moved"]) > 0


@case("crawl: the dead go at once", server=(), waits=True, only="torc", walks=True)
def crawl(context: Context) -> None:
    with context.connect() as client:
        store(client, {b"short%d" % i: b"v" for i in range(500)}, exptime=1)
        store(client, {b"long%d" % i: b"v" for i in range(500)}, exptime=1000)
        time.sleep(2.1)
        assert client.ask(b"lru_crawler crawl all\r\n") == b"OK\r\n"
        until(lambda: client.stats()["curr_items"] == "500", "the dead are gone")
        reclaimed = sum(int(value) for name, value in client.stats("items").items()
                        if name.endswith(":crawler_reclaimed"))
        assert 0 < reclaimed <= 500, reclaimed  # classes without items are not shown


@case("stats sizes: items by size", server=(), only="torc", walks=True)
def sizes(context: Context) -> None:
    with context.connect() as client:
        store(client, {b"a%d" % i: b"v" for i in range(30)})
        store(client, {b"b%d" % i: b"v" * 1000 for i in range(20)})
        store(client, {b"c": b"v" * 900_000})
        counted = {int(size): int(count) for size, count in client.stats("sizes").items()}
        assert sum(counted.values()) == 51 and all(size % 32 == 0 for size in counted), counted
        assert sum(n for size, n in counted.items() if 1000 < size < 1100) == 20, counted
        assert sum(n for size, n in counted.items() if size > 900_000) == 1, counted
        by_size = {}
        for line in dump(client, b"lru_crawler metadump all"):
            size = -(-int(METADUMP_LINE.fullmatch(line)[7]) // 32) * 32
            by_size[size] = by_size.get(size, 0) + 1
        assert by_size == counted


def connections(client: Client, argument: bytes = b"conns") -> dict[str, dict[str, str]]:
    """What `stats conns` says, by number."""
    rows: dict[str, dict[str, str]] = {}
    for name, value in client.stats(argument.decode()).items():
        number, _, field = name.partition(":")
        rows.setdefault(number, {})[field] = value
    return rows


@case("stats conns: where each client is, and what it does", server=("-m", "200"),
      old="1.6.18 shows other lines")
def conns(context: Context) -> None:
    with context.connect() as client:
        new, idle, middle, upload, swallow, slow = (context.connect() for _ in range(6))
        idle.ask(b"mn\r\n")
        middle.send(b"get ke")
        upload.send(b"set upload 0 0 100000\r\nxxx")
        swallow.send(b"set swallow 0 0 90000000\r\nxxx")
        store(client, {b"big": b"v" * 1_000_000})
        slow.send(b"get big\r\n" * 50)
        expected = {client: "conn_parse_cmd", new: "conn_new_cmd", idle: "conn_read",
                    middle: "conn_read", upload: "conn_nread", swallow: "conn_swallow",
                    slow: "conn_mwrite"}
        address = {one: "tcp:%s:%d" % one.sock.getsockname()[:2] for one in expected}
        server = "tcp:%s:%d" % client.sock.getpeername()[:2]

        def states() -> dict[str, str]:
            return {row["addr"]: row["state"] for row in connections(client).values()}

        # They are read when they are read.
        wanted = {address[one]: state for one, state in expected.items()}
        until(lambda: wanted.items() <= states().items(), f"{wanted}: the last seen {states()}")
        rows = connections(client)
        own = [row for row in rows.values() if row["addr"] in wanted]
        assert len(own) == len(wanted)
        for row in own:
            assert list(row) == ["addr", "listen_addr", "state", "secs_since_last_cmd"], row
            assert row["listen_addr"] == server and int(row["secs_since_last_cmd"]) < 60, row
        listening = [row for row in rows.values() if row["state"] == "conn_listening"]
        assert listening and all(row["addr"] == server for row in listening), rows
        assert all(list(row) == ["addr", "state", "secs_since_last_cmd"] for row in listening)
        # A number stays with its connection; one that is gone is not shown.
        numbers = {row["addr"]: number for number, row in rows.items() if row in own}
        slow.close()
        until(lambda: address[slow] not in states(), "it is gone")
        rows = connections(client, b"con")
        assert all(rows[numbers[address[one]]]["addr"] == address[one]
                   for one in (client, new, idle, middle, upload, swallow))
        for one in (new, idle, middle, upload, swallow):
            one.close()


@case("stats conns: hundreds, while others come and go", server=(), old="1.6.18 shows other lines")
def many_conns(context: Context) -> None:
    with context.connect() as client:
        stay = [context.connect() for _ in range(300)]
        for one in stay:
            one.ask(b"mn\r\n")
        wanted = Counter("tcp:%s:%d" % one.sock.getsockname()[:2] for one in stay)
        for _ in range(5):
            with context.connect() as passing:
                client.send(b"stats conns\r\n")
                passing.ask(b"mn\r\n")
            shown = Counter(re.findall(r":addr (\S+)\r\n", client.read_until(b"END\r\n").decode()))
            assert all(shown[address] == 1 for address in wanted), wanted - shown
        for one in stay:
            one.close()


@case("crawls: those that were begun are counted", server=(), only="torc")
def crawls_counted(context: Context) -> None:
    with context.connect() as client:
        assert client.stats()["lru_crawler_starts"] == "0"
        dump(client, b"lru_crawler metadump all")
        dump(client, b"lru_crawler mgdump all", b"EN\r\n")
        assert client.ask(b"lru_crawler crawl all\r\n") == b"OK\r\n"
        assert client.ask(b"lru_crawler metadump 0\r\n").startswith(b"BADCLASS")
        assert client.stats()["lru_crawler_starts"] == "3"
        assert client.ask(b"stats reset\r\n") == b"RESET\r\n"
        assert client.stats()["lru_crawler_starts"] == "0"

"""Statistics: every key that monitoring needs is there, with true values. What each command adds to
the counters is in stories/stats.story."""

import os
import re
import shutil
import subprocess
import time

import counters
from harness import Context, Skip, case
from lib.client import Client

# What memcached_exporter, memcached-tool and monitoring agents read.
GENERAL_KEYS = """
    pid uptime time version pointer_size rusage_user rusage_system max_connections curr_connections
    total_connections rejected_connections connection_structures cmd_get cmd_set cmd_flush cmd_touch
    get_hits get_misses get_expired get_flushed delete_misses delete_hits incr_misses incr_hits
    decr_misses decr_hits cas_misses cas_hits cas_badval touch_hits touch_misses store_too_large
    store_no_memory bytes_read bytes_written limit_maxbytes accepting_conns listen_disabled_num
    threads conn_yields bytes curr_items total_items expired_unfetched evicted_unfetched evictions
    reclaimed
""".split()

DEFAULT_SETTINGS = """
    maxbytes=67108864 udpport=0 inter=127.0.0.1 verbosity=0 evictions=on domain_socket=NULL
    growth_factor=1.25 chunk_size=48 reqs_per_event=20 cas_enabled=yes tcp_backlog=1024
    item_size_max=1048576 flush_enabled=yes
"""

OTHER_OPTIONS = "-m 100 -c 77 -R 5 -b 99 -f 1.5 -n 64 -I 2m -M -v"
OTHER_SETTINGS = """
    maxbytes=104857600 maxconns=77 reqs_per_event=5 tcp_backlog=99 growth_factor=1.50 chunk_size=64
    item_size_max=2097152 evictions=off verbosity=1
"""

ITEMS_KEYS = """number age evicted evicted_nonzero evicted_time outofmemory tailrepairs reclaimed
    expired_unfetched evicted_unfetched""".split()

SLABS_KEYS = """chunk_size chunks_per_page total_pages total_chunks used_chunks free_chunks get_hits
    cmd_set delete_hits incr_hits decr_hits cas_hits cas_badval touch_hits""".split()


@case("stats: the keys that monitoring needs, with true values", server=())
def general(context: Context) -> None:
    server = context.server
    with context.connect() as client:
        stats = client.stats()
        missing = [key for key in GENERAL_KEYS if key not in stats]
        assert not missing, f"not in stats: {missing}"
        assert stats["pid"] == str(server.pid)
        assert abs(int(stats["time"]) - time.time()) <= 2, stats["time"]
        assert 0 <= int(stats["uptime"]) < 60
        assert client.ask(b"version\r\n").decode() == f"VERSION {stats['version']}\r\n"
        assert stats["pointer_size"] == "64"
        assert stats["limit_maxbytes"] == str(64 << 20)
        assert stats["threads"] == context.target.options[-1]
        assert stats["curr_connections"] == "1", stats["curr_connections"]
        assert stats["accepting_conns"] == "1"
        assert stats["bytes"] == stats["curr_items"] == stats["total_items"] == "0"
        for clock in ("rusage_user", "rusage_system"):
            assert re.fullmatch(r"\d+\.\d{6}", stats[clock]), stats[clock]
        for key in GENERAL_KEYS:
            assert re.fullmatch(r"[\d.]+(-\w+)?", stats[key]), f"{key} {stats[key]}"


@case("stats: connections are counted as they come and go", server=())
def connections(context: Context) -> None:
    with context.connect() as client:
        time.sleep(0.2)  # until the connection that found the server up has been counted
        total = int(client.stats()["total_connections"])
        others = [context.connect() for _ in range(10)]
        for other in others:
            other.ask(b"mn\r\n")
        stats = client.stats()
        assert stats["curr_connections"] == "11", stats["curr_connections"]
        assert int(stats["total_connections"]) == total + 10
        assert int(stats["connection_structures"]) >= 11
        for other in others:
            other.close()
        wait_for(lambda: client.stats()["curr_connections"] == "1", "one connection is left")


@case("stats: bytes in and out")
def traffic(context: Context) -> None:
    with context.connect() as client:
        client.ask(b"set a 0 0 1000\r\n" + b"x" * 1000 + b"\r\n")
        before = client.stats()
        client.ask(b"get a\r\n", b"END\r\n")
        client.ask(b"set a 0 0 1000\r\n" + b"x" * 1000 + b"\r\n")
        after = client.stats()
        # `stats` itself costs a line in, and its own length out, which depends on the counters.
        read = int(after["bytes_read"]) - int(before["bytes_read"])
        written = int(after["bytes_written"]) - int(before["bytes_written"])
        assert read == len("get a\r\n") + len("set a 0 0 1000\r\n") + 1002 + len("stats\r\n"), read
        answers = len("VALUE a 0 1000\r\n") + 1002 + len("END\r\n") + len("STORED\r\n")
        assert answers < written < answers + 20000, written


@case("stats: bytes grow and shrink with the items")
def item_bytes(context: Context) -> None:
    with context.connect() as client:
        before = int(client.stats()["bytes"])
        client.ask(b"set grows 0 0 10000\r\n" + b"x" * 10000 + b"\r\n")
        grown = int(client.stats()["bytes"]) - before
        assert 10000 < grown < 10100, grown
        client.ask(b"delete grows\r\n")
        assert int(client.stats()["bytes"]) == before


def assert_settings(client: Client, text: str) -> None:
    """`text` has words such as `maxconns=77`."""
    wanted = dict(word.split("=") for word in text.split())
    found = client.stats("settings")
    wrong = {key: found.get(key) for key, value in wanted.items() if found.get(key) != value}
    assert not wrong, f"expected {({key: wanted[key] for key in wrong})}\ngot      {wrong}"


@case("stats: settings show the defaults")
def settings(context: Context) -> None:
    threads, port = context.target.options[-1], context.server.port
    with context.connect() as client:
        assert_settings(client, f"{DEFAULT_SETTINGS} num_threads={threads} tcpport={port}")


@case("stats: settings show what the command line set", server=tuple(OTHER_OPTIONS.split()))
def other_settings(context: Context) -> None:
    with context.connect() as client:
        assert_settings(client, OTHER_SETTINGS)
        assert client.stats()["max_connections"] == "77"


@case("stats: verbosity is what was last said", server=())
def verbosity(context: Context) -> None:
    with context.connect() as client:
        assert client.stats("settings")["verbosity"] == "0"
        assert client.ask(b"verbosity 1\r\n") == b"OK\r\n"
        assert client.stats("settings")["verbosity"] == "1"


@case("stats: items and slabs tell of every class in use", server=())
def items_and_slabs(context: Context) -> None:
    with context.connect() as client:
        for name, size in (("a", 10), ("b", 10), ("c", 1000), ("d", 100000)):
            client.ask(b"set %s 0 0 %d\r\n%s\r\n" % (name.encode(), size, b"x" * size))
        client.ask(b"get a b\r\n", b"END\r\n")
        items, slabs = client.stats("items"), client.stats("slabs")
    classes = {key.split(":")[1] for key in items}
    assert len(classes) == 3, sorted(classes)
    assert sum(int(items[f"items:{n}:number"]) for n in classes) == 4
    for n in classes:
        missing = [key for key in ITEMS_KEYS if f"items:{n}:{key}" not in items]
        assert not missing, f"not in stats items: {missing}"
        missing = [key for key in SLABS_KEYS if f"{n}:{key}" not in slabs]
        assert not missing, f"not in stats slabs: {missing}"
        used, chunk = int(slabs[f"{n}:used_chunks"]), int(slabs[f"{n}:chunk_size"])
        assert used >= int(items[f"items:{n}:number"]) and chunk > 0
    assert int(slabs["active_slabs"]) == 3 and int(slabs["total_malloced"]) > 0
    assert sum(int(slabs[f"{n}:get_hits"]) for n in classes) == 2


@case("stats: trailing blanks and words change nothing")
def trailing(context: Context) -> None:
    with context.connect() as client:
        general_keys, slabs_keys = list(client.stats()), list(client.stats("slabs"))
        for line in (b"stats \r\n", b"stats   \r\n", b"stats\n"):
            client.send(line)
            assert keys_of(client) == general_keys, line
        for line in (b"stats slabs \r\n", b"stats  slabs\r\n", b"stats slabs x\r\n"):
            client.send(line)
            assert keys_of(client) == slabs_keys, line


def keys_of(client: Client) -> list[str]:
    lines = client.read_until(b"END\r\n").decode().split("\r\n")
    return [line.split(" ")[1] for line in lines if line.startswith("STAT ")]


@case("stats: reset puts the counters back to 0 and keeps what is there", server=())
def reset(context: Context) -> None:
    with context.connect() as client:
        client.ask(b"set a 0 0 1\r\n1\r\n")
        client.ask(b"get a b\r\n", b"END\r\n")
        client.ask(b"incr a 1\r\n")
        client.ask(b"delete b\r\n")
        assert client.ask(b"stats reset\r\n") == b"RESET\r\n"
        stats = client.stats()
        kept = {"curr_items": "1", "curr_connections": "1"}
        for key in [*counters.COUNTERS, "total_connections", "curr_connections"]:
            assert stats[key] == kept.get(key, "0"), f"{key} {stats[key]}"
        assert int(stats["bytes"]) > 0
        assert int(stats["bytes_read"]) < 100


@case("stats: evictions, when memory is full", server=("-m", "8"))
def evictions(context: Context) -> None:
    count, size = 3000, 10000
    with context.connect() as client:
        for at in range(count):
            answer = client.ask(b"set key%d 0 0 %d\r\n%s\r\n" % (at, size, b"x" * size))
            assert answer == b"STORED\r\n", answer
        stats = client.stats()
        evicted = int(stats["evictions"])
        assert evicted > 0
        assert evicted + int(stats["curr_items"]) == count == int(stats["total_items"])
        assert int(stats["evicted_unfetched"]) == evicted
        assert stats["store_no_memory"] == "0"
        assert 4 << 20 < int(stats["bytes"]) <= 8 << 20, stats["bytes"]
        assert client.ask(b"get key%d\r\n" % (count - 1), b"END\r\n").startswith(b"VALUE")


@case("stats: -M refuses what does not fit", server=("-m", "8", "-M"))
def no_evictions(context: Context) -> None:
    value = b" 0 0 10000\r\n" + b"x" * 10000 + b"\r\n"
    refusal = b"SERVER_ERROR out of memory storing object\r\n"
    with context.connect() as client:
        # Memory may be parted among threads: it is full when many keys in a row find no room.
        answers = []
        while answers[-200:].count(refusal) < 200:
            answers.append(client.ask(b"set key%d" % len(answers) + value))
            assert answers[-1] in (b"STORED\r\n", refusal), answers[-1]
            assert len(answers) < 3000, "it takes more than it may"
        stored, refused = answers.count(b"STORED\r\n"), answers.count(refusal)
        assert stored > 500, f"only {stored} stored"
        stats = client.stats()
        assert (stats["evictions"], stats["store_no_memory"]) == ("0", str(refused))
        assert stats["curr_items"] == str(stored)
        # A set that finds no room removes the old value, for stale data must not stay. Then there
        # is room for it again.
        assert client.ask(b"set key0" + value) == refusal
        assert client.ask(b"get key0\r\n", b"END\r\n") == b"END\r\n"
        assert client.ask(b"get key1\r\n", b"END\r\n").startswith(b"VALUE")
        assert client.ask(b"set key0" + value) == b"STORED\r\n"
        # An add that finds no room leaves things as they are.
        assert client.ask(b"add key2" + value) in (b"NOT_STORED\r\n", refusal)
        assert client.ask(b"get key2\r\n", b"END\r\n").startswith(b"VALUE")


@case("stats: memcached-tool shows them", server=())
def memcached_tool(context: Context) -> None:
    script = find_memcached_tool(context)
    with context.connect() as client:
        client.ask(b"set a 0 0 1000\r\n" + b"x" * 1000 + b"\r\n")
        address = "%s:%d" % context.server.address
        for mode, wanted in (
            ("display", r"^\s+\d+\s+[\d.]+[KMB]*\s+\d+s\s+\d+\s+1\s"),
            ("stats", r"\bcurr_items\s+1\b"),
            ("settings", r"\bmaxbytes\s+67108864\b"),
        ):
            tool = ["perl", script, address, mode]
            shown = subprocess.run(tool, capture_output=True, text=True, timeout=20)
            assert shown.returncode == 0, shown.stderr
            assert re.search(wanted, shown.stdout, re.MULTILINE), f"{mode}:\n{shown.stdout}"


def find_memcached_tool(context: Context) -> str:
    if not shutil.which("perl"):
        raise Skip("memcached-tool needs perl")
    if subprocess.run(["perl", "-MURI::Escape", "-e1"], capture_output=True).returncode != 0:
        raise Skip("memcached-tool needs perl with URI::Escape (Debian's liburi-perl)")
    for root in (context.target.program.root, "/"):
        script = os.path.join(root, "usr/share/memcached/scripts/memcached-tool")
        if os.path.exists(script):
            return script
    raise Skip("no memcached-tool here (Debian's package memcached has it)")


def wait_for(true, what: str, timeout: float = 5) -> None:
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, f"waited {timeout:g} s in vain: {what}"
        time.sleep(0.02)

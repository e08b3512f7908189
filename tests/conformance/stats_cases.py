"""Statistics: every key that monitoring needs is there, with true values. What each command adds to
the counters is in stories/stats.story."""

import random
import re
import shutil
import subprocess
import time
from pathlib import Path

import counters
from harness import Context, Skip, case
from lib.client import Client
from lib.server import Server

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

# What the same agents turn into numbers where they find it.
NUMBERS = """
    crawler_reclaimed crawler_items_checked direct_reclaims moves_to_cold moves_to_warm
    moves_within_lru lru_crawler_starts total_malloced malloc_fails slabs_moved hash_bytes
    hash_power_level
""".split()

DEFAULT_SETTINGS = """
    maxbytes=67108864 udpport=0 inter=127.0.0.1 verbosity=0 evictions=on
    domain_socket=NULL umask=700 shutdown_command=no growth_factor=1.25 chunk_size=48
    stat_key_prefix=: detail_enabled=no reqs_per_event=20 cas_enabled=yes tcp_backlog=1024
    auth_enabled_sasl=no auth_enabled_ascii=no item_size_max=1048576 idle_timeout=0
    flush_enabled=yes client_flags_size=4
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
        # The connection that found the server up may still be there, and not every thread may have
        # begun to accept.
        wait_for(lambda: client.stats()["curr_connections"] == "1", "one connection is left")
        wait_for(lambda: client.stats()["accepting_conns"] == "1", "it accepts")
        assert stats["pid"] == str(server.pid)
        assert abs(int(stats["time"]) - time.time()) <= 2, stats["time"]
        assert 0 <= int(stats["uptime"]) < 60
        assert client.ask(b"version\r\n").decode() == f"VERSION {stats['version']}\r\n"
        assert stats["pointer_size"] == "64"
        assert stats["limit_maxbytes"] == str(64 << 20)
        assert stats["threads"] == context.target.options[-1]
        assert stats["bytes"] == stats["curr_items"] == stats["total_items"] == "0"
        for clock in ("rusage_user", "rusage_system"):
            assert re.fullmatch(r"\d+\.\d{6}", stats[clock]), stats[clock]
        for key in GENERAL_KEYS:
            assert re.fullmatch(r"[\d.]+(-\w+)?", stats[key]), f"{key} {stats[key]}"
        for key in NUMBERS:
            assert stats.get(key, "0").isdigit(), f"{key} {stats[key]}"


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


@case("stats: bytes in and out", server=())
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


@case("stats: bytes grow and shrink with the items", server=())
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
        maxconns = client.stats("settings")["maxconns"]
        assert maxconns == client.stats()["max_connections"]
        # torc takes as many as the limit on open files allows.
        assert maxconns == "1024" or context.target.kind == "torc" and int(maxconns) > 1024


@case("stats: large values are received into their items, and are right",
      only="torc", server=("-m", "1024", "-I", "16m"))
def into_items(context: Context) -> None:
    with context.connect() as client:
        assert client.stats()["bytes_read_into_items"] == "0"
        for i in range(4):
            value = random.Random(i).randbytes(8_000_000 + i)
            store = b"set k%d 0 0 %d\r\n" % (i, len(value)) + value + b"\r\n"
            assert client.ask(store) == b"STORED\r\n"
            found = b"VALUE k%d 0 %d\r\n" % (i, len(value)) + value + b"\r\nEND\r\n"
            client.send(b"get k%d\r\n" % i)
            assert client.read(len(found)) == found, i
        stats = client.stats()
        assert 0 < int(stats["bytes_read_into_items"]) < int(stats["bytes_read"]), stats


@case("stats: conn_yields counts the turns that -R made a pipeline give up", server=("-R", "5"))
def yields(context: Context) -> None:
    with context.connect() as client:
        for _ in range(100):
            client.ask(b"mn\r\n")
        assert client.stats()["conn_yields"] == "0"
        client.send(b"mn\r\n" * 1000)
        assert client.read(4 * 1000) == b"MN\r\n" * 1000
        assert 150 <= int(client.stats()["conn_yields"]) <= 200


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


@case("stats: items and slabs tell of every class in use", server=(),
      slab="other engines have no classes")
def items_and_slabs(context: Context) -> None:
    with context.connect() as client:
        store_four_values(client)
        client.ask(b"get a b\r\n", b"END\r\n")
        items, slabs, stats = client.stats("items"), client.stats("slabs"), client.stats()
    classes = {key.split(":")[1] for key in items}
    assert len(classes) == 3, sorted(classes)
    assert sum(int(items[f"items:{n}:number"]) for n in classes) == 4
    for n in classes:
        missing = [key for key in ITEMS_KEYS if f"items:{n}:{key}" not in items]
        assert not missing, f"not in stats items: {missing}"
        missing = [key for key in SLABS_KEYS if f"{n}:{key}" not in slabs]
        assert not missing, f"not in stats slabs: {missing}"
        assert int(slabs[f"{n}:used_chunks"]) >= int(items[f"items:{n}:number"])
    # A value may lie in several chunks, those after the first in classes that have no items.
    with_pages = {key.split(":")[0] for key in slabs if ":" in key}
    assert classes <= with_pages, sorted(with_pages)
    assert int(slabs["active_slabs"]) == len(with_pages)
    in_pages = 0
    for n in with_pages:
        chunk, per_page, pages, total, used, free = (
            int(slabs[f"{n}:{key}"]) for key in ("chunk_size", "chunks_per_page", "total_pages",
                                                 "total_chunks", "used_chunks", "free_chunks"))
        assert total == per_page * pages == used + free, f"class {n}"
        assert used > 0, f"class {n}"
        in_pages += chunk * total
    assert in_pages <= int(slabs["total_malloced"]) <= int(stats["limit_maxbytes"])
    requested = sum(int(items[f"items:{n}:mem_requested"]) for n in classes)
    assert requested == int(stats["bytes"]), requested
    assert sum(int(slabs[f"{n}:get_hits"]) for n in classes) == 2
    assert sum(int(slabs[f"{n}:cmd_set"]) for n in classes) == 4


def store_four_values(client: Client) -> None:
    """Two in one class, and two in classes of their own."""
    for name, size in ((b"a", 10), (b"b", 10), (b"c", 1000), (b"d", 100000)):
        assert client.ask(b"set %s 0 0 %d\r\n%s\r\n" % (name, size, b"x" * size)) == b"STORED\r\n"


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
        # The one that saw the server come up may be another shard's, which has yet to close it.
        wait_for(lambda: client.stats()["curr_connections"] == "1", "one connection")
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


@case("stats: memcached-tool display, stats and settings", server=())
def memcached_tool(context: Context) -> None:
    with context.connect() as client:
        store_four_values(client)
        assert_tool_shows(context, "%s:%d" % context.server.address, client)


@case("stats: memcached-tool over a UNIX socket", needs_server=False)
def memcached_tool_unix(context: Context) -> None:
    with context.target.program.scratch() as scratch:
        listen = ("-s", str(scratch.inside / "socket"))
        path = scratch.outside / "socket"
        with Server(context.target.program, *context.target.options, listen=listen):
            wait_for(lambda: can_connect(str(path)), "it accepts")
            with Client(str(path)) as client:
                store_four_values(client)
                assert_tool_shows(context, str(path), client)


def assert_tool_shows(context: Context, address: str, client: Client) -> None:
    slabs = client.stats("slabs")
    numbers = {}
    for key, value in client.stats("items").items():
        if key.endswith(":number"):
            numbers[key.split(":")[1]] = value
    shown = run_memcached_tool(context, address, "display").splitlines()
    assert shown[0].split()[:5] == ["#", "Item_Size", "Max_age", "Pages", "Count"], shown[0]
    rows = {row.split()[0]: row.split() for row in shown[1:]}
    assert len(rows) == int(slabs["active_slabs"]), shown
    for n, row in rows.items():
        assert row[3:5] == [slabs[f"{n}:total_pages"], numbers.get(n, "0")], row
    for mode, found, wanted in (
        ("stats", client.stats(), "pid version curr_items total_items limit_maxbytes threads"),
        ("settings", client.stats("settings"), "maxbytes maxconns num_threads item_size_max"),
    ):
        lines = run_memcached_tool(context, address, mode).splitlines()[1:]
        shown = dict(line.split(maxsplit=1) for line in lines)
        assert shown.keys() == found.keys(), f"{mode}: {shown.keys() ^ found.keys()}"
        for key in wanted.split():
            assert shown[key].strip() == found[key], f"{mode}: {key} {shown[key]}"


def run_memcached_tool(context: Context, address: str, mode: str) -> str:
    ended = subprocess.run(["perl", find_memcached_tool(context), address, mode],
                           capture_output=True, text=True, timeout=20)
    assert ended.returncode == 0 and not ended.stderr, f"{mode}: {ended.stderr}"
    return ended.stdout


def find_memcached_tool(context: Context) -> str:
    if not shutil.which("perl"):
        raise Skip("memcached-tool needs perl")
    if subprocess.run(["perl", "-MURI::Escape", "-e1"], capture_output=True).returncode != 0:
        raise Skip("memcached-tool needs perl with URI::Escape (Debian's liburi-perl)")
    for root in (context.target.tools, Path("/")):
        script = root / "usr/share/memcached/scripts/memcached-tool"
        if script.exists():
            return str(script)
    raise Skip("no memcached-tool here (Debian's package memcached has it)")


def can_connect(address) -> bool:
    try:
        Client(address).close()
        return True
    except OSError:
        return False


def wait_for(true, what: str, timeout: float = 5) -> None:
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, f"waited {timeout:g} s in vain: {what}"
        time.sleep(0.02)

"""pylibmc and pymemcache against a server.

Every function here is one case; one of pylibmc's is two, for it speaks text and binary.
"""

from __future__ import annotations

import json
import os
import threading
import zlib
from collections.abc import Iterator
from functools import partial

import pylibmc
from pymemcache.client.base import Client, PooledClient
from pymemcache.client.hash import HashClient
from pymemcache.exceptions import MemcacheClientError, MemcacheIllegalInputError

from case import Case

SIZES = (0, 1, 2, 100, 1023, 1024, 4096, 16383, 16384, 16385, 65536, 500_000, 900_000)
PAST = 1_000_000_000  # an absolute time that is over


def content(size: int) -> bytes:
    return (bytes(range(256)) * (size // 256 + 1))[:size]


def expect(condition: object, what: str) -> None:
    if not condition:
        raise AssertionError(what)


def equal(got: object, wanted: object) -> None:
    if got != wanted:
        raise AssertionError(f"got {str(got)[:200]}, wanted {str(wanted)[:200]}")


def refuses(call, *args, errors=(Exception,)) -> None:
    try:
        got = call(*args)
    except errors:
        return
    raise AssertionError(f"got {got!r}, wanted an error")


# -- pymemcache --


def pymemcache_sizes(port: int) -> None:
    client = Client(("127.0.0.1", port), no_delay=True)
    for size in SIZES:
        equal(client.set(f"size{size}", content(size), noreply=False), True)
        equal(client.get(f"size{size}"), content(size))
    equal(client.get_many([f"size{s}" for s in SIZES]), {f"size{s}": content(s) for s in SIZES})


def pymemcache_storage(port: int) -> None:
    client = Client(("127.0.0.1", port), default_noreply=False)
    client.delete("k")
    equal(client.replace("k", b"x"), False)
    equal(client.add("k", b"middle"), True)
    equal(client.add("k", b"other"), False)
    equal(client.append("k", b">"), True)
    equal(client.prepend("k", b"<"), True)
    equal(client.get("k"), b"<middle>")
    equal(client.replace("k", b"new"), True)
    equal(client.get("k"), b"new")
    equal(client.delete("k"), True)
    equal(client.delete("k"), False)
    equal(client.get("k", b"default"), b"default")
    equal(client.append("k", b"x"), False)


def pymemcache_noreply(port: int) -> None:
    """Commands without an answer, among others with one: nothing may get out of step."""
    client = Client(("127.0.0.1", port), default_noreply=True)
    for i in range(200):
        client.set(f"quiet{i}", b"%d" % (1000 + i))
        client.add(f"quiet{i}", b"never")
        client.append(f"quiet{i}", b"0")
        client.incr(f"quiet{i}", 7, noreply=True)
        client.touch(f"quiet{i}", 1000)
        client.replace(f"absent{i}", b"never")
        client.decr(f"quiet{i}", 2, noreply=True)
        client.delete(f"absent{i}")
        if i % 10 == 0:
            equal(client.get(f"quiet{i}"), b"%d" % (10005 + i * 10))
    equal(client.get_many([f"quiet{i}" for i in range(200)]),
          {f"quiet{i}": b"%d" % (10005 + i * 10) for i in range(200)})
    client.delete_many([f"quiet{i}" for i in range(200)])
    equal(client.get_many([f"quiet{i}" for i in range(200)]), {})
    client.flush_all()
    expect(client.version(), "a version after all that")


def pymemcache_cas(port: int) -> None:
    client = Client(("127.0.0.1", port), default_noreply=False)
    client.set("cas", b"1")
    value, token = client.gets("cas")
    equal(value, b"1")
    equal(client.cas("cas", b"2", token), True)
    equal(client.cas("cas", b"3", token), False)
    equal(client.gets("cas")[0], b"2")
    client.delete("cas")
    equal(client.cas("cas", b"4", token), None)
    many = client.gets_many(["cas", "absent"])
    equal(many, {})
    client.set("cas", b"5")
    token = client.gets("cas")[1]
    client.touch("cas", 1000)
    equal(client.cas("cas", b"6", token), True)
    token = client.gets("cas")[1]
    client.set("cas", b"6")
    equal(client.cas("cas", b"7", token), False)


def pymemcache_numbers(port: int) -> None:
    client = Client(("127.0.0.1", port), default_noreply=False)
    client.set("n", b"10")
    equal(client.incr("n", 5), 15)
    equal(client.decr("n", 6), 9)
    equal(client.get("n"), b"9 ")
    equal(client.decr("n", 100), 0)
    equal(client.incr("absent", 1), None)
    client.set("n", b"18446744073709551615")
    equal(client.incr("n", 1), 0)
    client.set("n", b"word")
    refuses(client.incr, "n", 1, errors=(MemcacheClientError,))
    equal(client.get("n"), b"word")


def pymemcache_expiry(port: int) -> None:
    client = Client(("127.0.0.1", port), default_noreply=False)
    client.set("e", b"x", expire=PAST)
    equal(client.get("e"), None)
    client.set("e", b"x", expire=-1)
    equal(client.get("e"), None)
    client.set("e", b"x", expire=1000)
    equal(client.touch("e", 2000), True)
    equal(client.get("e"), b"x")
    if hasattr(client, "gat"):  # since pymemcache 4
        equal(client.gat("e", expire=3000), b"x")
        equal(client.gats("e", expire=0)[0], b"x")
    equal(client.touch("e", -1), True)
    equal(client.get("e"), None)
    equal(client.touch("e", 10), False)


def pymemcache_many(port: int) -> None:
    client = Client(("127.0.0.1", port), default_noreply=False)
    pairs = {f"many{i}": content(i) for i in range(1500)}
    equal(client.set_many(pairs), [])
    equal(client.get_many(list(pairs) + ["absent"]), pairs)
    tokens = client.gets_many(list(pairs))
    equal({key: value for key, (value, _) in tokens.items()}, pairs)
    equal(len({token for _, token in tokens.values()}), len(pairs))
    equal(client.delete_many(list(pairs)), True)
    equal(client.get_many(list(pairs)), {})


def pymemcache_serde(port: int) -> None:
    from pymemcache import serde

    client = Client(("127.0.0.1", port), serde=serde.pickle_serde, default_noreply=False)
    for value in (b"bytes", "text \u20ac", 17, 2**70, {"a": [1, 2, (3,)]}, None):
        client.set("object", value)
        got = client.get("object", default="absent")
        equal(got, value)
        equal(type(got), type(value))
    client.set("large", ["a long text " * 50_000])
    equal(client.get("large"), ["a long text " * 50_000])

    class Json:
        """A serializer of the user's own, with a flag of 32 bits."""

        def serialize(self, key, value):
            return json.dumps(value).encode(), 0xFFFFFFFE

        def deserialize(self, key, value, flags):
            equal(flags, 0xFFFFFFFE)
            return json.loads(value)

    client = Client(("127.0.0.1", port), serde=Json(), default_noreply=False)
    client.set("json", {"x": [1, 2.5, None]})
    equal(client.get("json"), {"x": [1, 2.5, None]})


def pymemcache_limits(port: int) -> None:
    client = Client(("127.0.0.1", port), default_noreply=False)
    key = "k" * 250
    client.set(key, b"long")
    equal(client.get(key), b"long")
    refuses(client.get, "k" * 251, errors=(MemcacheIllegalInputError,))
    refuses(client.set, "large", b"x" * (1024 * 1024 + 1))
    # The client closes after a server error; the next command opens a new connection.
    equal(client.set("small", b"x"), True)
    equal(client.get("large"), None)


def pymemcache_stats(port: int) -> None:
    client = Client(("127.0.0.1", port), default_noreply=False)
    before = client.stats()
    client.set("s", b"x")
    client.get("s")
    client.get("absent")
    after = client.stats()

    def grown(name: bytes) -> int:
        return int(after[name]) - int(before[name])

    equal((grown(b"cmd_get"), grown(b"cmd_set"), grown(b"get_hits"), grown(b"get_misses")),
          (2, 1, 1, 1))
    for name in (b"pid", b"uptime", b"curr_connections", b"bytes", b"evictions", b"threads"):
        expect(name in after, f"stats has {name!r}")
    expect(client.stats("settings").get(b"maxbytes"), "stats settings has maxbytes")
    expect(client.stats("items") is not None, "stats items")
    expect(client.stats("slabs"), "stats slabs")
    expect(client.version(), "version")
    equal(client.flush_all(), True)
    equal(client.get("s"), None)
    client.quit()


def pymemcache_pool_in_threads(port: int) -> None:
    pool = PooledClient(("127.0.0.1", port), max_pool_size=8, default_noreply=False)
    faults: list[str] = []

    def work(number: int) -> None:
        try:
            for i in range(100):
                key, value = f"t{number}-{i % 7}", content(number * 100 + i)
                pool.set(key, value)
                equal(pool.get(key), value)
                pool.incr("poolcounter", 1)
        except Exception as fault:
            faults.append(repr(fault))

    pool.set("poolcounter", b"0")
    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(faults, [])
    equal(pool.get("poolcounter"), b"800")


def pymemcache_hash_client(port: int) -> None:
    client = HashClient([("127.0.0.1", port)], use_pooling=True, default_noreply=False)
    pairs = {f"h{i}": b"%d" % i for i in range(100)}
    equal(client.set_many(pairs), [])
    equal(client.get_many(list(pairs)), pairs)
    equal(client.delete("h1"), True)
    client.close()


# -- pylibmc --


def pylibmc_client(port: int, binary: bool, **behaviors) -> pylibmc.Client:
    return pylibmc.Client([f"127.0.0.1:{port}"], binary=binary,
                          behaviors={"tcp_nodelay": True, **behaviors})


def pylibmc_sizes(port: int, binary: bool = False) -> None:
    client = pylibmc_client(port, binary)
    sizes = SIZES[1:]  # nothing is a size too, but not for every pylibmc: see below
    for size in sizes:
        equal(client.set(f"size{size}", content(size)), True)
        equal(client.get(f"size{size}"), content(size))
    equal(client.get_multi([f"size{s}" for s in sizes]), {f"size{s}": content(s) for s in sizes})
    refuses(client.set, "large", os.urandom(1024 * 1024 + 1), errors=(pylibmc.Error,))
    equal(client.set("small", b"x"), True)
    equal(client.get("small"), b"x")


def pylibmc_empty_value(port: int, binary: bool = False) -> None:
    """On its own, for Debian 13's pylibmc is built with an assertion that it does not hold."""
    client = pylibmc_client(port, binary)
    equal(client.set("empty", b""), True)
    equal(client.get("empty"), b"")
    equal(client.get_multi(["empty", "absent"]), {"empty": b""})


def pylibmc_objects(port: int, binary: bool = False) -> None:
    client = pylibmc_client(port, binary)
    for value in (b"bytes", "text \u20ac", 17, True, {"a": [1, 2, (3,)]}, [None]):
        client.set("object", value)
        equal(client.get("object"), value)
    text = "a long text " * 50_000
    client.set("packed", text, min_compress_len=1000)
    equal(client.get("packed"), text)


def pylibmc_storage(port: int, binary: bool = False) -> None:
    client = pylibmc_client(port, binary, cas=True)
    client.delete("k")
    if binary:  # the client tells this answer from "not stored", and raises
        refuses(client.replace, "k", "x", errors=(pylibmc.NotFound,))
    else:
        equal(client.replace("k", "x"), False)
    equal(client.add("k", "middle"), True)
    equal(client.add("k", "other"), False)
    equal(client.append("k", ">"), True)
    equal(client.prepend("k", "<"), True)
    equal(client.get("k"), "<middle>")
    value, token = client.gets("k")
    equal(value, "<middle>")
    equal(client.cas("k", "new", token), True)
    equal(client.cas("k", "newer", token), False)
    equal(client.get("k"), "new")
    equal(client.touch("k", 1000), True)
    equal(client.delete("k"), True)
    equal(client.delete("k"), False)
    equal(client.touch("k", 1000), False)


def pylibmc_numbers(port: int, binary: bool = False) -> None:
    client = pylibmc_client(port, binary)
    client.set("n", 10)
    equal(client.incr("n"), 11)
    equal(client.incr("n", 89), 100)
    equal(client.decr("n", 1), 99)
    equal(client.decr("n", 1000), 0)
    refuses(client.incr, "absent", errors=(pylibmc.NotFound,))


def pylibmc_many(port: int, binary: bool = False) -> None:
    client = pylibmc_client(port, binary)
    pairs = {f"many{i}": content(i + 1) for i in range(1000)}
    equal(client.set_multi(pairs), [])
    equal(client.get_multi(list(pairs) + ["absent"]), pairs)
    equal(client.set_multi({"a": 1, "b": 2}, key_prefix="prefix:"), [])
    equal(client.get_multi(["a", "b", "c"], key_prefix="prefix:"), {"a": 1, "b": 2})
    client.delete("prefix:d")
    equal(client.add_multi({"a": 3, "d": 4}, key_prefix="prefix:"), ["a"])
    equal(client.delete_multi(list(pairs)), True)
    equal(client.get_multi(list(pairs)), {})


def pylibmc_expiry(port: int, binary: bool = False) -> None:
    client = pylibmc_client(port, binary)
    client.set("e", "x", time=PAST)
    equal(client.get("e"), None)
    client.set("e", "x", time=1000)
    equal(client.get("e"), "x")
    client.touch("e", PAST)
    equal(client.get("e"), None)


def pylibmc_noreply(port: int, binary: bool = False) -> None:
    client = pylibmc_client(port, binary, _noreply=True)
    for i in range(300):
        client.set(f"quiet{i}", b"v%d" % i)
        if i % 3 == 0:
            client.delete(f"quiet{i}")
    # The commands without an answer went over this connection, so their effects come first.
    wanted = {f"quiet{i}": b"v%d" % i for i in range(300) if i % 3}
    equal(client.get_multi([f"quiet{i}" for i in range(300)]), wanted)


def pylibmc_unblocked(port: int, binary: bool = False) -> None:
    """libmemcached's non-blocking way to send."""
    client = pylibmc_client(port, binary, no_block=True)
    for i in range(300):
        client.set(f"unblocked{i}", content(1 + i * 10))
    for i in range(300):
        equal(client.get(f"unblocked{i}"), content(1 + i * 10))


def pylibmc_stats(port: int, binary: bool = False) -> None:
    client = pylibmc_client(port, binary)
    client.set("s", 1)
    (_, stats), = client.get_stats()
    for name in ("pid", "curr_items", "cmd_get", "bytes", "limit_maxbytes", "threads"):
        expect(name in stats, f"stats has {name}")
    equal(client.flush_all(), True)
    equal(client.get("s"), None)


def clients_read_each_other(port: int, binary: bool = False) -> None:
    """Bytes are bytes and flags are flags, whoever wrote them."""
    base = Client(("127.0.0.1", port), default_noreply=False)
    libmc = pylibmc_client(port, binary)
    base.set("shared", b"from pymemcache", flags=0)
    equal(libmc.get("shared"), b"from pymemcache")
    libmc.set("shared", content(5000))
    equal(base.get("shared"), content(5000))
    libmc.set("shared", 41)
    equal(base.incr("shared", 1), 42)
    equal(libmc.get("shared"), 42)
    libmc.set("shared", content(200_000), min_compress_len=1)
    equal(zlib.decompress(base.get("shared")), content(200_000))


def _cases() -> Iterator[Case]:
    for name, function in sorted(globals().items()):
        if name.startswith("pymemcache_"):
            yield Case(name, function)
        elif name.startswith(("pylibmc_", "clients_")) and name != "pylibmc_client":
            yield Case(name, function)
            yield Case(f"{name}, binary", partial(function, binary=True))


CASES = list(_cases())

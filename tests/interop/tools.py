"""The command line tools of libmemcached, and memcached's own memcached-tool."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from case import Case
from lib.client import Client
from python_clients import content, equal, expect

# memcached answers 'delete KEY 0' otherwise than libmemcached's tester wants, since 1.4.
CAPABLE_FAILURES = {"ascii delete", "ascii delete noreply"}
CAPABLE_TESTS = 27  # of each protocol


def _run(*argv: str | Path, timeout: float = 60) -> subprocess.CompletedProcess:
    return subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=timeout)


def _text(done: subprocess.CompletedProcess) -> str:
    return (done.stdout + done.stderr).decode("utf-8", "replace")


def _memccapable(port: int, option: str, failures: set[str]) -> None:
    done = _run("memccapable", "-h", "127.0.0.1", "-p", str(port), option)
    # "ascii NAME" or "binary NAME", padded, on stdout; a pass behind it, a failure on stderr.
    tests = re.findall(r"((?:ascii|binary) [a-z ]+?)  +(\[pass\])?", done.stdout.decode())
    equal(len(tests), CAPABLE_TESTS)
    equal({name for name, passed in tests if not passed}, failures)
    equal(done.stderr.count(b"[FAIL]"), len(failures))


def memccapable_text(port: int) -> None:
    _memccapable(port, "-a", CAPABLE_FAILURES)


def memccapable_binary(port: int) -> None:
    _memccapable(port, "-b", set())


def _memcaslap(port: int, operations: int, *options: str) -> None:
    """A load that checks what it reads, bounded by a number of operations."""
    done = _run("memcaslap", "-s", f"127.0.0.1:{port}", "--verify=1", "-x", str(operations),
                "-T", "2", *options)
    text = _text(done)
    equal(done.returncode, 0)
    counts = dict(re.findall(r"^(\w+): (\d+)$", text, re.M))
    equal((counts["verify_failed"], counts["verify_misses"], counts["get_misses"]),
          ("0", "0", "0"))
    # It counts what was answered, and stops after the number asked for.
    expect(int(counts["cmd_get"]) + int(counts["cmd_set"]) >= operations, text)
    expect(int(counts["cmd_set"]) > operations // 200, text)


def memcaslap(port: int) -> None:
    _memcaslap(port, 20_000, "-c", "16")
    _memcaslap(port, 20_000, "-c", "16", "--win_size=1k", "--division=20")


def memcaslap_binary(port: int) -> None:
    _memcaslap(port, 20_000, "-c", "16", "-B")
    _memcaslap(port, 20_000, "-c", "16", "-B", "--win_size=1k", "--division=20")


def memcaslap_udp(port: int) -> None:
    """Requests one at a time for each of four clients: their answers never fill a socket's buffer,
    so nothing is lost on the way. (With -B besides, the tool sends nothing.)"""
    _memcaslap(port, 5_000, "-c", "4", "-U")


def file_tools(port: int) -> None:
    """memccp, memccat, memcexist, memctouch, memcrm on files of odd sizes."""
    servers = f"--servers=127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="torc-interop-") as folder:
        files = {}
        for size in (0, 1, 1000, 16384, 700_000):
            files[f"file{size}"] = content(size)
            Path(folder, f"file{size}").write_bytes(content(size))
        equal(_run("memccp", servers, *(Path(folder, name) for name in files)).returncode, 0)
    for name, data in files.items():
        equal(_run("memcexist", servers, name).returncode, 0)
        equal(_run("memctouch", servers, "--expire=1000", name).returncode, 0)
        got = _run("memccat", servers, name)
        equal(got.returncode, 0)
        if data:  # of an empty value the tool prints nothing at all
            equal(got.stdout.removesuffix(b"\n"), data.removesuffix(b"\n"))
    for name in files:
        equal(_run("memcrm", servers, name).returncode, 0)
        expect(_run("memcexist", servers, name).returncode != 0, f"{name} is removed")
        expect(_run("memccat", servers, name).returncode != 0, f"{name} is gone")
        expect(_run("memctouch", servers, "--expire=1000", name).returncode != 0, "no touch")


def memcstat(port: int) -> None:
    text = _text(_run("memcstat", f"--servers=127.0.0.1:{port}"))
    for name in ("pid", "uptime", "version", "curr_connections", "cmd_get", "limit_maxbytes"):
        expect(re.search(rf"^\s+{name}: ", text, re.M), f"memcstat shows {name}: {text[:300]}")


def memcping_and_flush(port: int) -> None:
    servers = f"--servers=127.0.0.1:{port}"
    with Client(("127.0.0.1", port)) as client:
        client.ask(b"set f 0 0 1\r\nx\r\n")
        equal(_run("memcping", servers).returncode, 0)
        equal(_run("memcflush", servers).returncode, 0)
        equal(client.ask(b"get f\r\n", b"END\r\n"), b"END\r\n")


def memcslap(port: int) -> None:
    for kind in ("set", "get", "mget"):
        done = _run("memcslap", f"--servers=127.0.0.1:{port}", "--concurrency=4",
                    "--execute-number=500", "--initial-load=500", f"--test={kind}")
        equal((done.returncode, kind), (0, kind))


def find(prefix: list[str]) -> Path | None:
    """memcached-tool on this machine, or beside the memcached that the command prefix starts."""
    if found := shutil.which("memcached-tool"):
        return Path(found)
    inside = Path("usr/share/memcached/scripts/memcached-tool")
    for word in ["/", *prefix]:
        for folder in (Path(word), *Path(word).parents):
            if folder.is_absolute() and (folder / inside).is_file():
                return folder / inside
    return None


def absent(prefix: list[str]) -> str:
    return "" if find(prefix) else "it is not on this machine"


def memcached_tool(port: int, tool: Path) -> None:
    with Client(("127.0.0.1", port)) as client:
        for size in (10, 1000, 20_000, 600_000):
            client.ask(b"set tool%d 0 0 %d\r\n%s\r\n" % (size, size, content(size)))

        def shown(mode: str) -> str:
            done = _run("perl", tool, f"127.0.0.1:{port}", mode)
            equal((done.returncode, done.stderr), (0, b""))
            return done.stdout.decode()

        display = shown("display").splitlines()
        expect(display and "Item_Size" in display[0], f"display has a heading: {display[:2]}")
        classes = [line.split() for line in display[1:]]
        items = sum(int(words[4]) for words in classes)
        equal(items, int(client.stats()["curr_items"]))
        equal([words[-1] for words in classes if words[-1] != "0"], [])  # out of memory: never
        stats = shown("stats")
        for name in ("pid", "curr_items", "evictions", "bytes_written"):
            expect(re.search(rf"^\s*{name}\s+\S", stats, re.M), f"stats shows {name}")
        settings = shown("settings")
        for name in ("maxbytes", "maxconns", "num_threads", "item_size_max"):
            expect(re.search(rf"^\s*{name}\s+\S", settings, re.M), f"settings shows {name}")


CASES = [
    Case("memccapable -a", memccapable_text),
    Case("memccapable -b", memccapable_binary),
    Case("memcaslap", memcaslap),
    Case("memcaslap -B", memcaslap_binary),
    Case("memccp, memccat and others", file_tools),
    Case("memcstat", memcstat),
    Case("memcping and memcflush", memcping_and_flush),
    Case("memcslap", memcslap),
]
# Against a server whose UDP port has its TCP port's number.
UDP_CASES = [Case("memcaslap -U", memcaslap_udp)]

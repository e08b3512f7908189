"""Starts memcached, or a server that takes its command line, and watches how it ends.

    memcached = Program("chroot ROOT memcached")
    with Server(memcached, "-t", "4") as server:
        with server.connect() as client:
            assert client.ask(b"mn\\r\\n") == b"MN\\r\\n"

Leaving the block stops the server and fails if it exited otherwise than asked, or if a sanitizer
reported.
"""

import functools
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from .client import Client
from .ports import free_port

# Whatever one of these prints on stderr is a failure, whatever the exit status.
SANITIZER_REPORT = re.compile(rb"(ERROR|WARNING): \w+Sanitizer|runtime error:|CHECK failed")

# An env for servers built with sanitizers: the first report ends the process.
SANITIZER_ENV = {
    "ASAN_OPTIONS": "abort_on_error=0:exitcode=99:detect_leaks=1:allocator_may_return_null=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "halt_on_error=1:exitcode=99:second_deadlock_stack=1",
}


class ServerFault(AssertionError):
    """The server did not start, did not end as it should, or reported a fault of its own."""


class Program:
    """How a server is started: a command prefix such as `./torc` or `chroot ROOT memcached`."""

    def __init__(self, prefix: str):
        self.prefix = shlex.split(prefix)
        # Paths given to a server in another root mean something else out here.
        self.root = Path(self.prefix[1] if self.prefix[0] == "chroot" else "/")
        # memcached, started by root, wants to be told whom to become.
        if os.geteuid() == 0 and "-u" not in self.prefix:
            self.prefix += ["-u", "root"]

    def __str__(self) -> str:
        return shlex.join(self.prefix)

    def run(self, *args: str, timeout: float = 10, **options) -> subprocess.CompletedProcess:
        """Runs the command to its end, for options that make it end."""
        return subprocess.run([*self.prefix, *args], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=timeout, env={**os.environ, **SANITIZER_ENV}, **options)

    @functools.cached_property
    def is_sanitized(self) -> bool:
        """Whether it was built with a sanitizer that changes what memory it takes and locks."""
        files = [Path(word) for word in self.prefix if Path(word).is_file()]
        return any(mark in path.read_bytes() for path in files
                   for mark in (b"__asan_init", b"__tsan_init"))

    def version(self) -> tuple[int, ...]:
        """The version that -V prints after the program's name, such as (1, 6, 45)."""
        printed = self.run("-V").stdout.decode()
        match = re.match(r"\S+ (\d+(?:\.\d+)*)", printed)
        if not match:
            raise ServerFault(f"{self} -V prints {printed!r}, which is no version")
        return tuple(int(number) for number in match[1].split("."))

    def scratch(self) -> "Scratch":
        return Scratch(self.root)


class Scratch:
    """A folder that the server (`inside`) and the test (`outside`) can name; gone at the end."""

    def __init__(self, root: Path):
        self.outside = Path(tempfile.mkdtemp(prefix="torc-test-", dir=root / "tmp"))
        self.inside = Path("/") / self.outside.relative_to(root)

    def __enter__(self) -> "Scratch":
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.outside, ignore_errors=True)


class Server:
    """A running server, on a free loopback port unless `listen` says otherwise.

    With `listen` (options such as `-s PATH`, perhaps none) the constructor does not wait until the
    server accepts, for it does not know where.
    """

    def __init__(self, program: Program, *args: str, env: dict[str, str] | None = None,
                 listen: tuple[str, ...] | None = None, start_timeout: float = 20, **popen_options):
        self.program = program
        self.env = {**os.environ, **SANITIZER_ENV, **(env or {})}
        self.popen_options = popen_options
        self.start_timeout = start_timeout
        self._output = tempfile.TemporaryFile()
        for _ in range(5):
            self.port = free_port()
            where = ("-l", "127.0.0.1", "-p", str(self.port)) if listen is None else listen
            self.argv = [*program.prefix, *where, *args]
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL,
                                            stdout=self._output, stderr=self._output, env=self.env,
                                            **popen_options)
            if listen is not None or self._wait_for_accept():
                return
        raise ServerFault(f"does not start:\n{self.report()}")

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_sanitized(self) -> bool:
        return self.program.is_sanitized

    @property
    def resident_kb(self) -> int:
        """Its resident memory in kB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.port)

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        ended_before = self.process.poll() is not None
        status = self.stop()
        if kind is None or ended_before:  # a server that died is the better explanation
            self._judge(status)

    def connect(self, timeout: float = 10.0) -> Client:
        return Client(self.address, timeout)

    def stop(self, by: int = signal.SIGTERM, timeout: float = 20) -> int:
        """Stops the server by a signal and returns its exit status (-n: died of signal n)."""
        if self.process.poll() is None:
            self.process.send_signal(by)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise ServerFault(f"still runs {timeout:g} s after signal {by}:\n{self.report()}")

    def output(self) -> bytes:
        """All that the server has written to stdout and stderr."""
        return os.pread(self._output.fileno(), 1 << 24, 0)

    def report(self) -> str:
        """Command, status and the end of the output, for a failure's message."""
        tail = self.output()[-4000:].decode("utf-8", "replace")
        return f"  command: {shlex.join(self.argv)}\n  status: {self.process.poll()}\n{tail}"

    def _judge(self, status: int) -> None:
        if status != 0:
            raise ServerFault(f"exit status {status}:\n{self.report()}")
        if SANITIZER_REPORT.search(self.output()):
            raise ServerFault(f"a sanitizer reported:\n{self.report()}")

    def _wait_for_accept(self) -> bool:
        """False when the port was taken by someone else in between."""
        deadline = time.monotonic() + self.start_timeout
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                if b"in use" in self.output():
                    return False
                raise ServerFault(f"ended while starting:\n{self.report()}")
            try:
                # An answer, and not only a connection: that one may wait in the backlog, and be served, or refused, in the
                # middle of a test.
                with socket.create_connection(self.address, self.start_timeout) as probe:
                    probe.sendall(b"mn\r\n")
                    probe.recv(100)
                return True
            except OSError:
                time.sleep(0.005)
        self.process.kill()
        self.process.wait()
        raise ServerFault(f"does not accept:\n{self.report()}")

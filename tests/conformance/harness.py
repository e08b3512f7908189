"""What a case is, which cases there are, and how they are run and counted."""

import re
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from lib.client import Client
from lib.server import Program, Server

MEMCACHED_OF_RECORD = (1, 6, 45)  # the version whose behaviour the expectations are


class Skip(Exception):
    """This case cannot be run here; the text says why."""


@dataclass
class Target:
    """A server program together with the options that all of its servers get."""

    kind: str  # torc or memcached
    program: Program
    options: tuple[str, ...]
    quick: bool
    timeout: float
    engine: str = "slab"
    tools: Path = Path("/")  # a root with Debian's memcached package, for memcached-tool
    version: tuple[int, ...] = ()
    name: str = ""

    def __post_init__(self) -> None:
        self.version = self.program.version()
        engine = [] if self.engine == "slab" else [f"--engine={Path(self.engine).name}"]
        self.name = " ".join([self.kind, ".".join(map(str, self.version)), *self.options, *engine])

    @property
    def is_old(self) -> bool:
        return self.kind == "memcached" and self.version < MEMCACHED_OF_RECORD

    def start(self, *args: str, **options) -> Server:
        """A server of the case's own."""
        return Server(self.program, *self.options, *args, **options)


@dataclass
class Case:
    name: str
    run: Callable[["Context"], None]
    server: tuple[str, ...] | None = None  # options of a server of its own; None: the shared one
    needs_server: bool = True  # False: the case starts what it needs
    waits: bool = False  # it sleeps, so it gets a server of its own
    old: str = ""  # why memcached before 1.6.45 answers otherwise
    only: str = ""  # torc or memcached
    slab: str = ""  # why it holds for torc's slab engine alone
    walks: bool = False  # it needs an engine that does what operators ask; the example does not

    @property
    def shares_server(self) -> bool:
        return self.needs_server and self.server is None and not self.waits


@dataclass
class Context:
    """What a case is given."""

    target: Target
    server: Server | None

    def connect(self) -> Client:
        assert self.server
        return self.server.connect(self.target.timeout)


CASES: list[Case] = []


def case(name: str, **options) -> Callable:
    """Registers a function as a case."""

    def register(function: Callable[[Context], None]) -> Callable[[Context], None]:
        CASES.append(Case(name, function, **options))
        return function

    return register


@dataclass
class Tally:
    passed: int = 0
    failed: int = 0
    noted: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, text: str) -> None:
        with self.lock:
            self.noted.append(text)

    def count(self, target: Target, case: Case, error: BaseException | None) -> None:
        with self.lock:
            if isinstance(error, Skip):
                self.noted.append(f"skipped: {target.name}: {case.name}: {error}")
            elif error is None:
                self.passed += 1
            elif case.old and target.is_old:
                self.passed += 1
                self.noted.append(f"as noted: {target.name}: {case.name}: {case.old}")
            else:
                self.failed += 1
                print(f"FAILED {target.name}: {case.name}\n{describe(error)}\n", flush=True)


def describe(error: BaseException) -> str:
    if isinstance(error, AssertionError) and str(error):
        text = str(error)
    else:
        text = "".join(traceback.format_exception(error))
    return "\n".join("    " + line for line in text.rstrip().split("\n"))


def run_case(target: Target, case: Case, shared: Server | None, tally: Tally) -> None:
    error = outcome(target, case, shared)
    if target.kind == "memcached" and error is not None and not isinstance(error, Skip):
        # Its background threads race with its workers: an item that one of them looks at just then
        # is changed in another way, and an answer in a thousand with it. What it does mostly counts.
        again = outcome(target, case, None)
        if again is None:
            tally.note(f"only when repeated: {target.name}: {case.name}: {describe(error).strip()}")
            error = None
    tally.count(target, case, error)


def outcome(target: Target, case: Case, shared: Server | None) -> Exception | None:
    """What went wrong: a case may fail in any way, the others still run. Without a shared server a
    case that wants it gets one of its own."""
    try:
        if case.slab and target.engine != "slab":
            raise Skip(case.slab)
        if case.walks and target.engine not in ("slab", "map"):
            raise Skip("this engine has no walks, pins to list or limit to change")
        if not case.needs_server:
            case.run(Context(target, None))
        elif case.shares_server and shared is not None:
            case.run(Context(target, shared))
        else:
            with target.start(*(case.server or ())) as server:
                case.run(Context(target, server))
    except Exception as error:
        return error
    return None


def run_one_by_one(target: Target, cases: list[Case], tally: Tally) -> None:
    """Cases on one shared server, started anew should one of them end it."""
    left = list(cases)
    while left:
        last = "its start"
        try:
            with target.start() as shared:
                while left and shared.process.poll() is None:
                    last = left[0].name
                    run_case(target, left.pop(0), shared, tally)
            error = None
        except Exception as fault:
            error = fault
        end = Case(f"the shared server's end, after {last!r}", lambda _: None)
        tally.count(target, end, error)
        if last == "its start":
            return


def run_target(target: Target, cases: list[Case], tally: Tally) -> None:
    """All cases against one target: those with a server of their own side by side in the
    background, for they mostly wait for it, and those of the shared server one by one."""
    start = time.monotonic()
    cases = [c for c in cases if c.only in ("", target.kind)]
    if not cases:
        return
    passed, failed = tally.passed, tally.failed
    with ThreadPoolExecutor(max_workers=16) as background:
        own_server = [c for c in cases if not c.shares_server]
        for own in sorted(own_server, key=lambda c: not c.waits):  # the longest first
            background.submit(run_case, target, own, None, tally)
        run_one_by_one(target, [c for c in cases if c.shares_server], tally)
    passed, failed = tally.passed - passed, tally.failed - failed
    seconds = time.monotonic() - start
    print(f"{target.name}: {passed} passed, {failed} failed, {seconds:.1f} s", flush=True)


def matching(cases: list[Case], pattern: str) -> list[Case]:
    return [c for c in cases if re.search(pattern, c.name)]

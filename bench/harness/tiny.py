"""Every row and every study in small, and what the load generator must refuse: a test, not a
measurement. No figure is judged."""

import subprocess
from collections.abc import Callable

from .errors import BenchError
from .measure import Bench
from .rounds import Ratio
from .servers import Server
from .session import Session
from .show import show_row
from .studies import STUDIES
from .workloads import ALL, BASIC, BY_NAME, PROTOCOL_ROWS, Row

KEYS_MAX = 5_000
CONNECTIONS_MAX = 500
SECONDS = 0.1
HUGE_KEYS_MAX = 20
# Enough for a wrong answer to come on any machine; the first one ends the run.
REFUSED_SECONDS = "30"


# Those of the protocols are in the study of them.
ROWS = tuple(row for row in ALL if row not in PROTOCOL_ROWS.values())


class Tiny:
    def __init__(self, bench: Bench):
        self.bench = bench
        self.passed = 0
        self.failed = 0

    def run(self, servers: list[Server], session: Session,
            report: Callable[[dict], None]) -> bool:
        by_name = {server.name: server for server in servers}
        self.check("a difference is one only if the rounds carry it", verdicts)
        for server in servers:
            for row in ROWS if server.stores else BASIC:
                if row.is_for(server):
                    self.check(f"{server.name}, {row.name}", lambda: self.row_runs(server, row))
            if server.stores:
                self.check(f"{server.name}, misses", lambda: self.finds_misses(server))
        if floor := by_name.get("floor"):
            self.check("load refuses wrong bytes", lambda: self.load_refuses(
                floor, ["--verify", "--seconds", REFUSED_SECONDS], "unexpected reply"))
            self.check("load refuses a wrong size", lambda: self.load_refuses(
                floor, ["--verify", "--value-size", "99", "--seconds", REFUSED_SECONDS],
                "unexpected reply"))
        if memcached := by_name.get("memcached"):
            self.check("load refuses an error", lambda: self.load_refuses(
                memcached, ["--value-size", "2000000", "--keys", "1", "--work", "set",
                            "--seconds", REFUSED_SECONDS], "unexpected reply: expected STORED"))
        session.begin("tiny")
        self.check("a record of a row", lambda: session.run_row(small(BASIC[0])))
        self.check("a record of a row with misses", lambda: session.run_row(small(BY_NAME["etc"])))
        for name in STUDIES:
            self.check(f"study {name}", lambda: session.run_study(name))
        self.check("the report", lambda: report(session.record))
        print(f"\n{self.passed} passed, {self.failed} failed")
        return self.failed == 0

    def check(self, name: str, test: Callable[[], object]) -> None:
        try:
            test()
        except (BenchError, subprocess.SubprocessError, OSError) as error:
            self.failed += 1
            print(f"FAIL {name}: {error}", flush=True)
        else:
            self.passed += 1
            print(f"ok   {name}", flush=True)

    def row_runs(self, server: Server, row: Row) -> None:
        sample = self.bench.measure(server, small(row), seed=1)
        show_row(row, {server.name: [sample]})

    def load_refuses(self, server: Server, options: list[str], expected: str) -> None:
        """The load generator must end with an error that says `expected`."""
        row = BASIC[0]
        with self.bench.serve(server, row) as running:
            try:
                self.bench.load.run([*row.options(running.port), *options])
            except BenchError as error:
                if expected not in str(error):
                    raise BenchError(f"expected '{expected}' in: {error}") from error
                return
        raise BenchError(f"expected an error with '{expected}', got none")

    def finds_misses(self, server: Server) -> None:
        """Nothing is stored, so nothing may be found."""
        row = BASIC[0]
        with self.bench.serve(server, row) as running:
            figures = self.bench.measured(running, [*row.options(running.port), "--verify"])[1]
        if figures["gets"] == 0 or figures["hits"] != 0:
            raise BenchError(f"{figures['hits']} of {figures['gets']} found in an empty server")


def small(row: Row) -> Row:
    return row.small(HUGE_KEYS_MAX if row.value_size == "1000000" else KEYS_MAX, CONNECTIONS_MAX)


def verdicts() -> None:
    for rounds, expected in (((1.2, 1.21, 1.19), "a ahead"),
                             ((0.80, 0.81, 0.79), "b ahead"),
                             ((1.02, 1.20, 1.02), "no difference"),
                             ((0.9, 1.1, 1.2), "no difference"),
                             ((1.0, 1.0, 1.0), "no difference"),
                             ((3.0,), "no verdict")):
        said = Ratio(rounds).verdict("a", "b")
        if expected not in said:
            raise BenchError(f"{rounds}: '{said}' is not '{expected}'")

"""Everything that one call of the bench measures, and its record."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from . import machine, studies
from .errors import BenchError
from .measure import Bench, Sample
from .rounds import judged, pairs_of, run_row
from .servers import Server
from .show import show_row
from .workloads import Row

# Increased with every change that makes older records unreadable for the report.
FORMAT = 1


@dataclass
class Session:
    """Runs rows and studies, prints each, and keeps the record: a file that is whole after every
    row, so that an hour's work survives its last minute."""

    bench: Bench
    servers: list[Server]
    scale: str
    record_path: Path | None
    record: dict = field(default_factory=dict)

    def begin(self, command: str) -> None:
        self.record = {"format": FORMAT, "command": command, "scale": self.scale,
                       "machine": machine.describe(self.bench, self.servers),
                       "rows": [], "studies": {}, "failed": {}}
        machine.show(self.record["machine"])

    def attempt(self, name: str, work: Callable[[], None]) -> None:
        """Does it; what fails is said and recorded, and costs nothing but its own figures."""
        try:
            work()
        except BenchError as error:
            print(f"\nFAILED {name}: {error}", flush=True)
            self.record["failed"][name] = str(error)
            self._write()

    def run_row(self, row: Row) -> None:
        samples = run_row(self.bench, self.servers, row)
        show_row(row, samples, self.bench.threads)
        self.record["rows"].append(record_of(row, samples, self.bench.threads))
        self._write()

    def run_study(self, name: str) -> None:
        result = studies.STUDIES[name](self.bench, self.servers, self.scale)
        if samples := result.pop("samples", None):
            by_row: dict[Row, dict[str, list[Sample]]] = {}
            for sample in samples:
                by_row.setdefault(sample.row, {}).setdefault(sample.server, []).append(sample)
            self.record["rows"] += [record_of(row, servers, self.bench.threads)
                                    for row, servers in by_row.items()]
        self.record["studies"][name] = result
        self._write()

    def _write(self) -> None:
        if self.record_path:
            self.record_path.parent.mkdir(parents=True, exist_ok=True)
            new = self.record_path.with_name(self.record_path.name + ".new")
            new.write_text(json.dumps(self.record, indent=1))
            new.rename(self.record_path)


def record_of(row: Row, samples: dict[str, list[Sample]], threads: int) -> dict:
    ratios = {}
    for first, other in pairs_of(list(samples)):
        for what, (ratio, verdict) in judged(samples, first, other, threads).items():
            low, high = ratio.interval
            ratios.setdefault(f"{first} / {other}", {})[what] = {
                "median": ratio.median, "rounds": list(ratio.rounds),
                "interval": [low, high] if len(ratio.rounds) > 1 else None,
                "verdict": verdict}
    return {
        "name": row.name, "title": row.title, "unit": row.unit,
        "keys_per_request": row.keys_per_request, "misses": row.misses,
        "servers": {name: {"commands": rounds[0].commands,
                           "rounds": [sample.figures for sample in rounds]}
                    for name, rounds in samples.items()},
        "ratios": ratios,
    }

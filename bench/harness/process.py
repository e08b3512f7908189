"""What the kernel counts of a process, from /proc and by perf or strace. The load generator reads
what belongs to a measured time itself."""

import os
import re
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator



def resident_bytes(pid: int) -> int:
    return _number(r"^VmRSS:\s+(\d+)", _read(Path(f"/proc/{pid}/status"))) * 1024


def cpu_seconds(pid: int) -> float:
    """Processor time so far, of all threads, by the scheduler's clock."""
    return sum(int(_schedstat(thread)[0]) for thread in _threads(pid)) / 1e9


def delayed_seconds(pid: int) -> float:
    """For how long the busiest thread was ready and another process had its core, at least: what
    threads of its own took that are tied to the same core is left out."""
    threads = [(int(run), int(delayed), _only_core(int(path.parent.name)))
               for path in _threads(pid) for run, delayed, _ in [_schedstat(path)]]
    threads.sort(key=lambda thread: thread[0])
    _, delayed, its_core = threads.pop()
    siblings = sum(run for run, _, core in threads if core is not None and core == its_core)
    return max(0, delayed - siblings) / 1e9


def _only_core(thread: int) -> int | None:
    """The core that a thread is tied to; nothing if it has a choice, or has ended."""
    try:
        cores = os.sched_getaffinity(thread)
    except OSError:
        return None
    return next(iter(cores)) if len(cores) == 1 else None


def _threads(pid: int) -> list[Path]:
    return list(Path(f"/proc/{pid}/task").glob("*/schedstat"))


def _schedstat(path: Path) -> list[str]:
    return (_read(path) or "0 0 0").split()


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""  # the thread has ended


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text, re.MULTILINE)
    return int(found[1]) if found else 0


class SystemCalls:
    """Counts a process's system calls, by whatever this machine has for it.

    perf counts in the kernel and costs a fraction of a microsecond a call; strace stops the process
    at every call, so that it sees a slower server, whose batches may be of another size: its figure
    is an indication. Neither runs beside a measurement of time: a run of its own counts.
    """

    # Each is asked to count for this long before the load, so that it is attached when it begins.
    ATTACH_SECONDS = 0.3

    def __init__(self) -> None:
        self.method = self._find()

    @staticmethod
    def _find() -> str | None:
        """'perf', 'strace', or nothing."""
        trials = {"perf": ["perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "true"],
                  "strace": ["strace", "-c", "-o", "/dev/null", "true"]}
        for method, command in trials.items():
            if not shutil.which(method):
                continue
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode == 0 and "not supported" not in done.stderr:
                return method
        return None

    @contextmanager
    def counting(self, pid: int) -> Iterator[dict]:
        """Counts during the block; `calls` is in the dictionary afterwards, nothing if unknown."""
        result: dict = {"calls": None}
        if self.method is None:
            yield result
            return
        command = (["perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p", str(pid)]
                   if self.method == "perf" else ["strace", "-c", "-f", "-p", str(pid)])
        counter = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                   text=True)
        try:
            time.sleep(self.ATTACH_SECONDS)
            yield result
            counter.send_signal(signal.SIGINT)
            said = counter.communicate(timeout=30)[1]
        finally:
            if counter.poll() is None:
                counter.kill()
                counter.wait()
        found = (re.search(r"^(\d+),", said, re.MULTILINE) if self.method == "perf" else
                 re.search(r"^100\.00\s+\S+\s+(?:\d+\s+)?(\d+)\s.*total$", said, re.MULTILINE))
        if found:
            result["calls"] = int(found[1])



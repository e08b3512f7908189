"""Runs a case in a process of its own, since a client library may not fail but abort.

    run(case, port)     # returns, or raises AssertionError with what went wrong
"""

from __future__ import annotations

import ctypes
import os
import signal
import traceback
from pathlib import Path

CASE_TIMEOUT_S = 120
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class ClientDied(AssertionError):
    """The client's process was ended by a signal: SIGABRT of an assertion, SIGALRM of no end."""


def die_with_parent() -> None:
    """Called in a new process: the kernel ends it when this program ends, however that comes."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def run(case, *args) -> None:
    """Calls the case in a forked process; raises AssertionError with what it raised there."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        die_with_parent()
        os.close(reader)
        os._exit(_in_child(case, args, writer))
    os.close(writer)
    try:
        with os.fdopen(reader, "rb") as pipe:
            fault = pipe.read().decode("utf-8", "replace")
        _, status = os.waitpid(child, 0)
    except BaseException:  # this program was told to stop
        os.kill(child, signal.SIGKILL)
        raise
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        raise ClientDied(f"the client died of {signal.Signals(-code).name}")
    if fault or code:
        raise AssertionError(fault or f"exit status {code}")


def _in_child(case, args: tuple, writer: int) -> int:
    # The client's code is not Python's, so nothing less than a signal is sure to end it.
    signal.alarm(CASE_TIMEOUT_S)
    try:
        case(*args)
        return 0
    except BaseException as fault:  # whatever a client library may raise
        place = traceback.extract_tb(fault.__traceback__)[1:2]
        at = f"{Path(place[0].filename).name}:{place[0].lineno}: " if place else ""
        os.write(writer, f"{at}{type(fault).__name__}: {fault}".encode()[:4000])
        return 1

"""Clients of other languages: scripts that print TAP, and what they need.

The clients from npm are no Debian packages. They are installed once, in the versions and with the
checksums of npm/package-lock.json, into a folder of the cache (TORC_CACHE, or ~/.cache/torc);
where npm, or its registry, cannot be reached their cases are skipped, with a notice that says why.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from case import Case

HERE = Path(__file__).parent
NPM_FILES = (HERE / "npm" / "package.json", HERE / "npm" / "package-lock.json")
NPM_TIMEOUT_S = 60


def run_tap(*argv: str | Path, env: dict[str, str] | None = None) -> None:
    """Runs a script; raises AssertionError unless it ends with a plan and nothing fails."""
    done = subprocess.run(list(argv), stdin=subprocess.DEVNULL, capture_output=True, timeout=90,
                          env={**os.environ, **(env or {})})
    output = (done.stdout + done.stderr).decode("utf-8", "replace")
    bad = [line for line in output.splitlines() if re.match(r"not ok|#", line)]
    if done.returncode or bad or not re.search(r"^1\.\.\d+$", output, re.M):
        raise AssertionError("\n    ".join([f"exit status {done.returncode}"] + bad[:20]
                                           + ([] if bad else output.splitlines()[-5:])))


def perl_client(port: int, module: str) -> None:
    run_tap("perl", HERE / "perl_client.pl", module, f"127.0.0.1:{port}")


def npm_client(port: int, module: str, *credentials: str) -> None:
    run_tap("node", HERE / "npm_clients.js", module, f"127.0.0.1:{port}", *credentials,
            env={"NODE_PATH": str(_npm_modules())})


def _cache() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("TORC_CACHE") or home / "torc")


def _npm_modules() -> Path:
    lock = hashlib.sha256(b"".join(file.read_bytes() for file in NPM_FILES)).hexdigest()[:16]
    return _cache() / f"npm-{lock}" / "node_modules"


@functools.cache  # asked before each case
def npm_absent() -> str:
    """Installs the modules where they are not there yet; why that cannot be, or nothing."""
    if not shutil.which("node") or not shutil.which("npm"):
        return "node and npm are not on this machine"
    folder = _npm_modules().parent
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".lock"), "w") as lock_file:
        fcntl.flock(lock_file, fcntl.LOCK_EX)  # two that come at once make it once
        return "" if folder.is_dir() else _install(folder)


def _install(folder: Path) -> str:
    # Moved into place complete, so that a folder that exists is whole.
    new = folder.with_suffix(".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    for file in NPM_FILES:
        shutil.copy(file, new)
    try:
        done = subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=0",
             "--fetch-timeout=20000"],
            cwd=new, stdin=subprocess.DEVNULL, capture_output=True, timeout=NPM_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return f"npm ci takes more than {NPM_TIMEOUT_S} seconds"
    if done.returncode:
        said = (done.stderr + done.stdout).decode("utf-8", "replace").splitlines()
        errors = [line for line in said if "error" in line.lower()] or said
        return "npm ci failed: " + " / ".join(errors[:2])
    new.rename(folder)
    return ""


CASES = [
    *(Case(module, functools.partial(perl_client, module=module))
      for module in ("Cache::Memcached", "Cache::Memcached::Fast")),
    Case("npm memcached", functools.partial(npm_client, module="memcached"), absent=npm_absent),
    Case("npm memjs", functools.partial(npm_client, module="memjs"), absent=npm_absent),
]

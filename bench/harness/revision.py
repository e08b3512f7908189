"""A build of another revision of torc, to be run beside the one of the working tree.

The revision is checked out in a worktree of its own below .bazel/compare and built there with an
output base of its own, so that neither the working tree nor its build is touched; only the binary
stays, named by its commit, so that asking again for it builds nothing.
"""

import shutil
import subprocess
from pathlib import Path

from .errors import BenchError
from .servers import ROOT

FOLDER = ROOT / ".bazel" / "compare"
BUILD_SECONDS_MAX = 1800


def build(revision: str) -> tuple[str, Path]:
    """The short name of the commit, and its server."""
    commit = _git("rev-parse", "--verify", f"{revision}^{{commit}}")
    name = commit[:10]
    binary = FOLDER / f"torc-{name}"
    if binary.exists():
        return name, binary
    FOLDER.mkdir(parents=True, exist_ok=True)
    tree = FOLDER / f"tree-{name}"
    _git("worktree", "prune")
    _git("worktree", "add", "--detach", "--force", str(tree), commit)
    try:
        bazel = ["bazel", f"--output_base={FOLDER / 'output'}"]
        _run([*bazel, "build", "-c", "opt", "//src:torc"], tree)
        built = _run([*bazel, "info", "-c", "opt", "bazel-bin"], tree).strip()
        _run([*bazel, "shutdown"], tree)
        # Moved into place whole: a binary that is there is complete.
        shutil.copy2(Path(built) / "src" / "torc", binary.with_suffix(".new"))
        binary.with_suffix(".new").rename(binary)
    finally:
        _git("worktree", "remove", "--force", str(tree))
    return name, binary


def _git(*words: str) -> str:
    return _run(["git", *words], ROOT).strip()


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True,
                          timeout=BUILD_SECONDS_MAX, check=False)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(command)}\n{done.stderr.strip()[-2000:]}")
    return done.stdout

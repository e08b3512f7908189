#!/usr/bin/python3
"""Counts the test cases of one `bazel test` run.

    count_bazel_tests.py EVENTS      what `bazel test --build_event_json_file=EVENTS` wrote

Prints `N passed, N failed`. A doctest binary counts by its cases. A test that says nothing of
cases, or that ended before its summary (a crash, a timeout, a sanitizer's report), counts as one.
So does one that could not be built.
"""

import json
import re
import sys
from pathlib import Path
from urllib.parse import unquote, urlparse

# [doctest] test cases: 12 | 11 passed | 1 failed | 0 skipped
DOCTEST_SUMMARY = re.compile(r"\[doctest\] test cases: *\d+ \| *(\d+) passed \| *(\d+) failed")


def cases(result: dict) -> tuple[int, int]:
    """Cases passed and failed of one run of one test."""
    passed = result["status"] in ("PASSED", "FLAKY")
    summary = None
    for output in result.get("testActionOutput", []):
        if output["name"] == "test.log":
            log = Path(unquote(urlparse(output["uri"]).path))
            if log.exists():
                summary = DOCTEST_SUMMARY.search(log.read_text(errors="replace"))
    if summary is None:
        return (1, 0) if passed else (0, 1)
    good, bad = int(summary[1]), int(summary[2])
    # A summary without a failure does not clear a test that failed after it, by a leak say.
    return (good, bad) if passed else (good, max(bad, 1))


def count(events_path: Path) -> tuple[int, int]:
    """Cases passed and failed of the whole run."""
    requested: set[str] = set()  # tests that Bazel set out to run
    seen: set[str] = set()  # tests that ran
    passed = failed = 0
    for line in events_path.read_text().splitlines():
        event = json.loads(line)
        identity = event["id"]
        if event.get("configured", {}).get("testSize"):
            requested.add(identity["targetConfigured"]["label"])
        elif "testResult" in identity:
            seen.add(identity["testResult"]["label"])
            good, bad = cases(event["testResult"])
            passed += good
            failed += bad
    return passed, failed + len(requested - seen)


def main() -> None:
    path = Path(sys.argv[1])
    passed, failed = count(path) if path.exists() else (0, 1)
    print(f"{passed} passed, {failed} failed")


if __name__ == "__main__":
    main()

"""The counters of `stats` whose every move can be told in advance from the commands sent."""

import re

from lib.client import Client

COUNTERS = """
    cmd_get cmd_set cmd_flush cmd_touch get_hits get_misses get_expired delete_misses delete_hits
    incr_misses incr_hits decr_misses decr_hits cas_misses cas_hits cas_badval touch_hits
    touch_misses store_too_large store_no_memory evictions curr_items total_items
""".split()


def read(client: Client) -> dict[str, int]:
    stats = client.stats()
    return {name: int(stats[name]) for name in COUNTERS}


def moved(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {name: after[name] - before[name] for name in COUNTERS if after[name] != before[name]}


def parse(text: str) -> dict[str, int]:
    """`cmd_get+2 curr_items-1` as a dictionary."""
    return {name: int(by) for name, by in re.findall(r"(\w+)([+-]\d+)", text)}

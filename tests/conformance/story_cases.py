"""Makes a case of every story in stories/, and holds DIFFERENCES.md against them.

A `.story` file speaks lines, a `.packets` file the binary protocol.
"""

import itertools
import re
from collections.abc import Callable
from pathlib import Path

import counters
import packets
from harness import CASES, Case, Context
from story import Player, Story, StoryError, parse_file

HERE = Path(__file__).parent
FILES = sorted((HERE / "stories").glob("*.story"))
STORIES = [story for path in FILES for story in parse_file(path)]
PACKET_STORIES = [story for path in sorted((HERE / "stories").glob("*.packets"))
                  for story in packets.parse_file(path)]

FLUSH_DISABLED = b"CLIENT_ERROR flush_all not allowed\r\n"

plays = itertools.count(1)


def check_differences() -> None:
    """Every difference in the stories has its row, and every row its story."""
    table = (HERE / "DIFFERENCES.md").read_text()
    rows = set(re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE))
    named = {story.options["differs"] for story in STORIES if "differs" in story.options}
    unnamed = [
        story.name
        for story in STORIES
        if any(step.server for step in story.steps) and "differs" not in story.options
    ]
    if rows != named or unnamed:
        raise StoryError(f"DIFFERENCES.md and the stories disagree: {rows ^ named} {unnamed}")


def play(story: Story, context: Context) -> None:
    """One story, with a key of its own, on an empty cache."""
    player = Player(context.connect, context.target.kind, key=f"key{next(plays)}")
    with context.connect() as observer:
        if "moves" not in story.options:
            assert observer.ask(b"flush_all\r\n") == b"OK\r\n"
            player.play(story)
            return
        before = counters.read(observer)
        player.play(story)
        moved = counters.moved(before, counters.read(observer))
        expected = counters.parse(story.options["moves"])
        assert moved == expected, f"counters expected to move {expected}\nmoved {moved}"


def play_packets(story: Story, context: Context) -> None:
    with context.connect() as observer:
        assert observer.ask(b"flush_all\r\n") in (b"OK\r\n", FLUSH_DISABLED)
    packets.PacketPlayer(context.connect, key=f"key{next(plays)}").play(story)


def as_case(story: Story, play: Callable[[Story, Context], None]) -> Case:
    server = story.options.get("server")
    if "moves" in story.options and server is None:
        server = ""  # its own: what goes away later in a shared one would be counted as its
    return Case(
        story.name,
        lambda context: play(story, context),
        server=tuple(server.split()) if server is not None else None,
        waits=story.sleeps,
        old=story.options.get("old", ""),
        only=story.options.get("only", ""),
        slab=story.options.get("slab", ""),
        walks="walks" in story.options,
    )


check_differences()
CASES += [as_case(story, play) for story in STORIES]
CASES += [as_case(story, play_packets) for story in PACKET_STORIES]

"""The stories of protocols that torc does not speak yet: upcoming/, played to memcached alone.

`run --upcoming` adds them. They hold memcached 1.6.45 to what proto/ was written from; once torc
answers a file, it moves to stories/ (a `.packets` file: once story_cases loads these too) and the
differences get their rows in DIFFERENCES.md.
"""

import itertools
from pathlib import Path
from typing import Iterator

import packets
import story
from harness import Case, Context

HERE = Path(__file__).parent / "upcoming"

plays = itertools.count(1)


def play(one: story.Story, context: Context) -> None:
    key = f"upcoming{next(plays)}"
    if "server" not in one.options:
        with context.connect() as observer:
            assert observer.ask(b"flush_all\r\n") == b"OK\r\n"
    if one.file.endswith("packets"):
        packets.PacketPlayer(context.connect, key).play(one)
    else:
        story.Player(context.connect, context.target.kind, key).play(one)


def as_case(one: story.Story) -> Case:
    server = one.options.get("server")
    return Case(one.name, lambda context: play(one, context),
                server=tuple(server.split()) if server is not None else None,
                waits=one.sleeps, only="",
                old="1.6.18 was not asked about any of this")


def cases() -> Iterator[Case]:
    for path in sorted(HERE.iterdir()):
        if path.suffix == ".story":
            yield from map(as_case, story.parse_file(path))
        elif path.suffix == ".packets":
            stories = packets.parse_file(path)
            for one in stories:
                one.file = path.name.replace(".", "_")
            yield from map(as_case, stories)

"""Every input, cut at every byte: however its bytes are parted, the answers are the same.

The stories marked `@ split` are replayed as one run of bytes: in one write, in two writes parted at
every place, one byte at a time, and in random pieces. Plays run side by side on connections of
their own with keys of their own; all first parts are sent before any second part, so that the
server really sees the cut.
"""

import random
import re
import time
from dataclasses import dataclass

from harness import Context, case
from lib.client import Client, Silence
from story import Mismatch, Story, StoryError, Words, shorten
from story_cases import STORIES

SIDE_BY_SIDE = 250  # connections at once, well below memcached's default of 1024
CUT_PAUSE_S = 0.003  # long enough for the server to see the first part alone


@dataclass
class Run:
    """One play of a story as bytes: what goes in, what must come out, where the input is cut."""

    story: Story
    sent: bytes
    wanted: re.Pattern[bytes]
    ends: bool  # the server closes at the end
    marks: int  # how many MN lines are among what must come out
    pieces: list[bytes]


def flatten(story: Story, server: str, key: str) -> tuple[bytes, re.Pattern[bytes], bool]:
    words = Words(key)
    sent, wanted, ends = b"", b"", False
    for step in story.steps_for(server):
        line_end = b"\r\n" if len(step.op) == 1 else b""
        if step.op in (">", ">>"):
            sent += words.to_bytes(step.text) + line_end
        elif step.op in ("<", "<<"):
            wanted += as_regex(words, step.text) + line_end
        elif step.op == "<|":
            ends = True
        else:
            raise StoryError(f"{story.name}: a split story cannot have {step.op!r}")
    return sent, re.compile(wanted, re.DOTALL), ends


def as_regex(words: Words, text: str) -> bytes:
    """The text as a pattern in which a `{cas:x}` met again must match the same number."""
    pattern = words.to_pattern(re.sub(r"\{cas:\w+\}", "{int}", text))
    if isinstance(pattern, bytes):
        return re.escape(pattern)
    names = re.findall(r"\{cas:(\w+)\}", text)
    source = pattern.pattern
    for name in names:
        known = words.captured.get(name)
        group = rb"(?P=%s)" % name.encode() if known else rb"(?P<%s>\d+)" % name.encode()
        words.captured[name] = b"seen"
        source = source.replace(rb"\d+", group, 1)
    return source


class Runs:
    """Makes runs with a key of their own each, all of the same length."""

    serial = 0

    def __init__(self, server: str):
        self.server = server

    def make(self, story: Story, cut) -> Run:
        Runs.serial += 1
        sent, wanted, ends = flatten(story, self.server, f"k{Runs.serial:06}")
        marks = sum(step.op == "<" and step.text == "MN" for step in story.steps)
        return Run(story, sent, wanted, ends, marks, cut(sent))

    def length(self, story: Story) -> int:
        return len(flatten(story, self.server, "k000000")[0])


def play_together(context: Context, runs: list[Run]) -> None:
    """Sends the first pieces of all runs, then the second ones, and so on; then compares."""
    clients = [context.connect() for _ in runs]
    try:
        for turn in range(max(len(run.pieces) for run in runs)):
            for run, client in zip(runs, clients):
                if turn < len(run.pieces):
                    send_piece(client, run.pieces[turn])
            time.sleep(CUT_PAUSE_S if len(runs) > 20 or turn == 0 else CUT_PAUSE_S / 3)
        for run, client in zip(runs, clients):
            check(run, client)
    finally:
        for client in clients:
            client.close()


def send_piece(client: Client, piece: bytes) -> None:
    try:
        client.send(piece)
    except (ConnectionError, BrokenPipeError):
        pass  # the story may have quit by now


def check(run: Run, client: Client) -> None:
    if not run.ends:
        send_piece(client, b"mn\r\n")
    try:
        got = client.read_to_close() if run.ends else read_to_mark(run, client)
    except Silence as silence:
        got = silence.got
    if not run.wanted.fullmatch(got):
        cuts = " | ".join(shorten(p, 200) for p in run.pieces[:12])
        raise Mismatch(f"{run.story.name}, cut so: {cuts}\n"
                       f"expected {run.wanted.pattern!r}\ngot      {got!r}")


def read_to_mark(run: Run, client: Client) -> bytes:
    """All up to the answer of the `mn` that ends the run; `run.marks` more come before it."""
    got = b"".join(client.read_until(b"MN\r\n") for _ in range(run.marks + 1))
    return got.removesuffix(b"MN\r\n")


def split_stories(context: Context) -> list[Story]:
    stories = [s for s in STORIES if s.options.get("split") in ("", context.target.kind)]
    return [s for s in stories if not (context.target.is_old and "old" in s.options)]


def batches(runs: list[Run], size: int = SIDE_BY_SIDE) -> list[list[Run]]:
    return [runs[at : at + size] for at in range(0, len(runs), size)]


@case("split: whole conversations in one write")
def in_one_write(context: Context) -> None:
    make = Runs(context.target.kind).make
    play_together(context, [make(story, lambda sent: [sent]) for story in split_stories(context)])


@case("split: every conversation cut in two at every byte")
def in_two(context: Context) -> None:
    runs = Runs(context.target.kind)
    step = 5 if context.target.quick else 1
    plays = [runs.make(story, lambda sent, at=at: [sent[:at], sent[at:]])
             for story in split_stories(context) for at in range(1, runs.length(story), step)]
    for batch in batches(plays):
        play_together(context, batch)


@case("split: every conversation one byte at a time")
def byte_by_byte(context: Context) -> None:
    make = Runs(context.target.kind).make
    play_together(context, [make(story, lambda sent: [sent[i : i + 1] for i in range(len(sent))])
                            for story in split_stories(context)])


@case("split: every conversation in random pieces")
def in_random_pieces(context: Context) -> None:
    seed = 20240607
    rng = random.Random(seed)

    def cut(sent: bytes) -> list[bytes]:
        places = sorted(rng.sample(range(1, len(sent)), min(rng.randint(2, 9), len(sent) - 1)))
        return [sent[a:b] for a, b in zip([0, *places], [*places, len(sent)])]

    make = Runs(context.target.kind).make
    plays = [make(story, cut) for story in split_stories(context) for _ in range(10)]
    for batch in batches(plays):
        play_together(context, batch)


def long_conversation(key: str) -> tuple[bytes, bytes]:
    """Lines and values longer than any receive buffer is likely to be, and their answers."""
    value = b"".join(b"%07d " % at for at in range(9000))  # every place in it is recognisable
    found = b"VALUE %s 0 %d\r\n%s\r\n" % (key.encode(), len(value), value)
    keys = b" ".join(b"%s-%d" % (key.encode(), at) for at in range(2000))
    sent = b"set %s 0 0 %d\r\n%s\r\n" % (key.encode(), len(value), value)
    sent += b"get %s %s %s\r\n" % (key.encode(), keys, key.encode())
    sent += b"append %s 0 0 3\r\nend\r\nget %s\r\n" % (key.encode(), key.encode())
    wanted = b"STORED\r\n" + found + found + b"END\r\nSTORED\r\n"
    wanted += b"VALUE %s 0 %d\r\n%send\r\nEND\r\n" % (key.encode(), len(value) + 3, value)
    return sent, wanted


@case("split: long lines and values cut at the edges of buffers")
def at_buffer_edges(context: Context) -> None:
    sizes = [1460, 4096, 16384] if context.target.quick else [1460, 2048, 4096, 8192, 16384, 65536]
    for size in (size + by for size in sizes for by in (-2, -1, 0, 1, 2)):
        with context.connect() as client:
            sent, wanted = long_conversation(f"edge{size}")
            for at in range(0, len(sent), size):
                client.send(sent[at : at + size])
                time.sleep(CUT_PAUSE_S / 10)
            got = client.read(len(wanted))
            assert got == wanted, (
                f"pieces of {size} bytes\nexpected {shorten(wanted)}\ngot      {shorten(got)}"
            )

r"""Stories: conversations with a server, as the bytes that go in and the bytes that come out.

A story file holds many. It reads as the conversation looks on the wire:

    == a value is stored and read back
    > set KEY 5 0 3
    > abc
    < STORED
    > get KEY
    < VALUE KEY 5 3
    < abc
    < END

    >  a line to send; \r\n is added          <  a line that must come back
    >> bytes to send as they stand            << bytes that must come back
    >| nothing more is sent (half-close)      <| the server closes, having sent no more
    ~  seconds to wait                        #  a comment

Lines to send that follow each other leave in one write; `~ 0` parts the writes. A digit in front
(`2> get KEY`) speaks on another connection. `torc<` and `memcached<` are expected of that server
only. In a line

    \r \n \t \0 \s \xHH \\ \{    are bytes (\s: a blank)
    KEY                           is a name that no other story uses
    {250*k}                       repeats; {now+10} is a unix time
    {any} {int}                   match, where they are expected
    {left:30}                     matches 30, or a little less: seconds that run while the story does
    {cas:x}                       matches a number, which later lines repeat

Options stand at the top of a story:

    @ server -M -m 8              it needs a server of its own, started so
    @ split                       it is also replayed cut at every byte (`split torc`: torc only)
    @ moves cmd_get+2             these counters of `stats` move, and no others
    @ differs NAME                an intended difference, a row of DIFFERENCES.md
    @ old WHY                     memcached before 1.6.45 answers otherwise
    @ only torc                   or memcached
    @ slab WHY                    it holds for torc's slab engine alone
    @ walks                       it needs an engine that does what operators ask

When a story ends, `mn` must be answered with `MN` and nothing before it: no byte too many escapes
notice.
"""

import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterator

from lib.client import Client, Silence

LINE = re.compile(
    r"(?P<server>torc|memcached)?(?P<conn>\d)?(?P<op>>>|>\||>|<<|<\||<)(?: (?P<text>.*))?$"
)
PART = re.compile(
    r"\\x(?P<hex>[0-9a-fA-F]{2})|\\(?P<escape>.)|(?P<key>KEY)|(?P<brace>\{)|(?P<plain>[^\\{K]+|.)"
)
# What a story may take by the slowest server, in seconds: one under a sanitizer, on a busy machine.
LEFT_LESS = 10
ESCAPES = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "s": b" ", "\\": b"\\", "{": b"{"}


class StoryError(Exception):
    """A story file that makes no sense."""


class Mismatch(AssertionError):
    """The server answered otherwise than the story says."""


@dataclass
class Step:
    op: str  # > >> >| < << <| ~
    text: str
    conn: int = 1
    server: str | None = None  # the only server that this step is for


@dataclass
class Story:
    file: str
    title: str
    line: int
    steps: list[Step] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.file}: {self.title}"

    @property
    def sleeps(self) -> bool:
        return any(step.op == "~" and float(step.text) >= 0.5 for step in self.steps)

    def steps_for(self, server: str) -> Iterator[Step]:
        return (step for step in self.steps if step.server in (None, server))


def parse_file(path: Path) -> list[Story]:
    stories: list[Story] = []
    for number, line in enumerate(path.read_text("utf-8").split("\n"), 1):
        if line.startswith("== "):
            stories.append(Story(path.stem, line[3:].strip(), number))
        elif line.startswith("@ "):
            option, _, value = line[2:].partition(" ")
            options = stories[-1].options
            options[option] = f"{options.get(option, '')} {value}".strip()
        elif line.startswith("~ "):
            stories[-1].steps.append(Step("~", line[2:]))
        elif match := LINE.match(line):
            stories[-1].steps.append(Step(match["op"], match["text"] or "", int(match["conn"] or 1),
                                          match["server"]))
        elif line.strip() and not line.startswith("#"):
            raise StoryError(f"{path.name}:{number}: cannot read {line!r}")
    return stories


class Words:
    """Turns text into bytes, or into a pattern, and remembers what `{cas:x}` stood for."""

    def __init__(self, key: str = "key"):
        self.key = key.encode()
        self.captured: dict[str, bytes] = {}

    def to_bytes(self, text: str) -> bytes:
        pattern = self.to_pattern(text)
        if isinstance(pattern, bytes):
            return pattern
        raise StoryError(f"{text!r} cannot be sent")

    def to_pattern(self, text: str) -> bytes | re.Pattern[bytes]:
        """Bytes when the text says them all, else a pattern with a group for each new `{cas:x}`."""
        literal = b""
        pattern = b""
        at = 0
        while part := PART.match(text, at):
            at = part.end()
            match part.lastgroup:
                case "hex":
                    literal += bytes.fromhex(part["hex"])
                case "escape":
                    literal += ESCAPES[part["escape"]]
                case "key":
                    literal += self.key
                case "plain":
                    literal += part["plain"].encode()
                case "brace":
                    end = closing_brace(text, at)
                    inside, at = text[at:end], end + 1
                    if matcher := self._matcher(inside):
                        pattern += re.escape(literal) + matcher
                        literal = b""
                    else:
                        literal += self._value(inside)
        return re.compile(pattern + re.escape(literal), re.DOTALL) if pattern else literal

    def _matcher(self, braces: str) -> bytes | None:
        if braces == "any":
            return rb"[^\r\n]*"
        if braces == "int":
            return rb"\d+"
        if match := re.fullmatch(r"left:(\d+)", braces):
            most = int(match[1])
            return b"(?:%s)" % b"|".join(b"%d" % left for left in range(most, most - LEFT_LESS, -1))
        if braces.startswith("cas:") and braces[4:] not in self.captured:
            return rb"(?P<%s>\d+)" % braces[4:].encode()
        return None

    def _value(self, braces: str) -> bytes:
        if braces.startswith("cas:"):
            return self.captured[braces[4:]]
        if match := re.fullmatch(r"now([+-]\d+)", braces):
            return b"%d" % (time.time() + int(match[1]))
        if match := re.fullmatch(r"(\d+)\*(.+)", braces, re.DOTALL):
            return int(match[1]) * self.to_bytes(match[2])
        raise StoryError(f"what is {{{braces}}}?")


def closing_brace(text: str, at: int) -> int:
    """The place of the brace that closes the one before `at`."""
    depth = 1
    for place in range(at, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return place
    raise StoryError(f"no closing brace in {text!r}")


def shorten(data: bytes, limit: int = 400) -> str:
    if len(data) <= limit:
        return repr(data)
    half = limit // 2
    return f"{data[:half]!r} ...{len(data) - 2 * half} bytes... {data[-half:]!r}"


class Player:
    """Plays one story against one server; raises Mismatch, with what was said, where they part."""

    def __init__(self, connect: Callable[[], Client], server: str, key: str = "key"):
        self.connect = connect
        self.server = server
        self.words = Words(key)
        self.clients: dict[int, Client] = {}
        self.finished: set[int] = set()  # connections on which nothing more can be asked
        self.transcript: list[str] = []

    def play(self, story: Story) -> None:
        unsent: dict[int, bytes] = {}
        try:
            for step in story.steps_for(self.server):
                if step.op in (">", ">>"):
                    line_end = b"\r\n" if step.op == ">" else b""
                    unsent[step.conn] = (unsent.get(step.conn, b"")
                                         + self.words.to_bytes(step.text) + line_end)
                    continue
                for conn, data in unsent.items():
                    self._send(conn, data)
                unsent.clear()
                self._do(step)
            for conn, data in unsent.items():
                self._send(conn, data)
            for conn in set(self.clients) - self.finished:
                self._send(conn, b"mn\r\n")
                self._expect(conn, b"MN\r\n")
        finally:
            for client in self.clients.values():
                client.close()

    def _client(self, conn: int) -> Client:
        if conn not in self.clients:
            self.clients[conn] = self.connect()
        return self.clients[conn]

    def _send(self, conn: int, data: bytes) -> None:
        self._note(conn, ">", data)
        try:
            self._client(conn).send(data)
        except (ConnectionError, BrokenPipeError):
            pass  # what the server said before it closed is what counts

    def _do(self, step: Step) -> None:
        client = self._client(step.conn)
        if step.op == "~":
            time.sleep(float(step.text))
        elif step.op == ">|":
            client.half_close()
            self.finished.add(step.conn)
        elif step.op == "<|":
            self.finished.add(step.conn)
            self._compare(step.conn, b"", self._read(client.read_to_close), "and a close")
        else:
            line_end = b"\r\n" if step.op == "<" else b""
            pattern = self.words.to_pattern(step.text)
            if isinstance(pattern, bytes):
                self._expect(step.conn, pattern + line_end)
            else:
                self._expect_match(step.conn, pattern)

    def _expect(self, conn: int, wanted: bytes) -> None:
        got = self._read(lambda: self._client(conn).read(len(wanted)))
        self._compare(conn, wanted, got)

    def _expect_match(self, conn: int, pattern: re.Pattern[bytes]) -> None:
        got = self._read(self._client(conn).read_line)
        match = pattern.fullmatch(got.removesuffix(b"\r\n"))
        if not match or not got.endswith(b"\r\n"):
            self._fail(conn, repr(pattern.pattern), got)
        self.words.captured.update(match.groupdict())
        self._note(conn, "<", got)

    def _read(self, read: Callable[[], bytes]) -> bytes:
        try:
            return read()
        except Silence as silence:
            return silence.got

    def _compare(self, conn: int, wanted: bytes, got: bytes, extra: str = "") -> None:
        closed = not extra or self._client(conn).closed
        if got != wanted or not closed:
            self._fail(conn, f"{shorten(wanted)} {extra}", got)
        self._note(conn, "<", got)

    def _note(self, conn: int, direction: str, data: bytes) -> None:
        self.transcript.append(f"{conn}{direction} {shorten(data)}")

    def _fail(self, conn: int, wanted: str, got: bytes) -> None:
        time.sleep(0.05)
        closed = not self._client(conn).is_open()
        more = self._client(conn).pending()
        raise Mismatch("\n".join([
            *self.transcript[-12:],
            f"expected {wanted}",
            f"got      {shorten(got)}" + (" and a close" if closed else ""),
            *([f"then     {shorten(more)}"] if more else []),
        ]))

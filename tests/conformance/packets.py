r"""Stories of the binary protocol: packets in, packets out.

A `.packets` file reads as a story file does (story.py), with a packet in each line:

    == getk shows the key of what it does not find
    > getk key=KEY
    > noop
    < getk status=1 key=KEY
    < noop

    >  a packet to send; packets that follow each other leave in one write
    <  the packet that must come back
    >> bytes to send as they stand            <| the server closes, having sent no more
    text> a line on a connection of its own   text< the line that must come back there

In a packet, `key=`, `extras=` and `value=` take words as in stories (KEY, \s, \xHH, {3*x}), and
`key_size=`, `body_size=`, `magic=`, `cas=` the numbers that would otherwise follow from them. An
opcode is a name or a number. Extras have short forms: `flags=5`, `exptime=30`, `delta=1`,
`initial=10` make those that the opcode takes, and what is not said is 0; `number=7` is a value of
eight bytes.

What must come back has status 0, CAS 0 and no text unless it says otherwise: `status=1` expects
the status and its text (`value=` another one), `cas=*` any CAS but 0, `cas=x` the same one
wherever it stands again, in a request too. `value=*` is any text, `key=*` any key. The opaque must be that of the
first request of this opcode that is open; with `of=2` of the second, so that the first was quiet.

When a story ends, a noop must be answered, and nothing before it.
"""

import struct
from pathlib import Path
from typing import Callable

from lib.client import Client, Silence
from story import Mismatch, Step, Story, StoryError, Words, shorten

HEADER = struct.Struct(">BBHBBHIIQ")
OPCODES = {
    name: number
    for number, name in enumerate(
        "get set add replace delete incr decr quit flush getq noop version getk getkq append "
        "prepend stat setq addq replaceq deleteq incrq decrq quitq flushq appendq prependq "
        "verbosity touch gat gatq - sasl_list sasl_auth sasl_step gatk gatkq".split()
    )
    if name != "-"
}
TEXTS = {
    1: b"Not found",
    2: b"Data exists for key.",
    3: b"Too large.",
    4: b"Invalid arguments",
    5: b"Not stored.",
    6: b"Non-numeric server-side value for incr or decr",
    0x20: b"Auth failure.",
    0x81: b"Unknown command",
    0x82: b"Out of memory",
}


def parse_file(path: Path) -> list[Story]:
    stories: list[Story] = []
    for number, line in enumerate(path.read_text("utf-8").split("\n"), 1):
        if line.startswith("== "):
            stories.append(Story(path.stem, line[3:].strip(), number))
        elif line.startswith("@ "):
            option, _, value = line[2:].partition(" ")
            stories[-1].options[option] = value
        elif line.split(" ")[0] in (">", "<", ">>", "<|", "~", "text>", "text<"):
            op, _, text = line.partition(" ")
            stories[-1].steps.append(Step(op, text))
        elif line.strip() and not line.startswith("#"):
            raise StoryError(f"{path.name}:{number}: cannot read {line!r}")
    return stories


def opcode_of(name: str) -> int:
    return OPCODES[name] if name in OPCODES else int(name, 0)


class PacketPlayer:
    """Plays one story against one server; raises Mismatch, with what was said, where they part."""

    def __init__(self, connect: Callable[[], Client], key: str = "key"):
        self.connect = connect
        self.words = Words(key)
        self.cas: dict[str, int] = {}
        self.unanswered: list[tuple[int, int]] = []  # opcode and opaque
        self.serial = 0x10203040
        self.transcript: list[str] = []
        self.text: Client | None = None

    def play(self, story: Story) -> None:
        client = self.connect()
        try:
            self._play(story, client)
        finally:
            client.close()
            if self.text:
                self.text.close()

    def _play(self, story: Story, client: Client) -> None:
        unsent = b""
        for step in story.steps + [Step(">", "noop"), Step("<", "noop")]:
            if step.op == ">":
                unsent += self._request(step.text)
                continue
            if step.op == ">>":
                unsent += self.words.to_bytes(step.text)
                continue
            if unsent:
                self._send(client, unsent)
                unsent = b""
            if step.op == "<":
                self._expect(client, step.text)
            elif step.op == "<|":
                self._note("<|", got := self._read(client.read_to_close))
                if got or not client.closed:
                    self._fail("a close", got)
                return
            elif step.op.startswith("text"):
                self._speak_text(step)
            else:
                raise StoryError(f"{story.name}: {step.op} has no meaning here")

    def _send(self, client: Client, data: bytes) -> None:
        self._note(">", data)
        try:
            client.send(data)
        except (ConnectionError, BrokenPipeError):
            pass  # what the server said before it closed is what counts

    def _speak_text(self, step: Step) -> None:
        self.text = self.text or self.connect()
        if step.op == "text>":
            self._send(self.text, self.words.to_bytes(step.text) + b"\r\n")
            return
        wanted = self.words.to_pattern(step.text)
        got = self._read(self.text.read_line)
        line = got.removesuffix(b"\r\n")
        fits = line == wanted if isinstance(wanted, bytes) else wanted.fullmatch(line)
        if not fits or not got.endswith(b"\r\n"):
            self._fail(step.text, got)

    def _fields(self, text: str) -> tuple[int, dict[str, str]]:
        name, *pairs = text.split(" ")
        return opcode_of(name), dict(pair.split("=", 1) for pair in pairs if pair)

    def _extras(self, opcode: int, fields: dict[str, str]) -> bytes:
        name = {number: name for name, number in OPCODES.items()}.get(opcode, "").rstrip("q")
        number = lambda field: int(fields.pop(field, "0"), 0)
        if "extras" in fields:
            return self.words.to_bytes(fields.pop("extras"))
        if name in ("set", "add", "replace"):
            return struct.pack(">II", number("flags"), number("exptime"))
        if name in ("incr", "decr"):
            return struct.pack(">QQI", number("delta"), number("initial"), number("exptime"))
        if name in ("touch", "gat", "gatk") or "exptime" in fields:
            return struct.pack(">I", number("exptime"))
        return b""

    def _cas_of(self, text: str) -> int:
        return self.cas[text] if text in self.cas else int(text, 0)

    def _request(self, text: str) -> bytes:
        opcode, fields = self._fields(text)
        extras = self._extras(opcode, fields)
        key = self.words.to_bytes(fields.pop("key", ""))
        value = self.words.to_bytes(fields.pop("value", ""))
        self.serial += 1
        self.unanswered.append((opcode, self.serial))
        header = HEADER.pack(
            int(fields.pop("magic", "0x80"), 0), opcode,
            int(fields.pop("key_size", len(key))), len(extras),
            int(fields.pop("data_type", "0"), 0), int(fields.pop("vbucket", "0"), 0),
            int(fields.pop("body_size", str(len(extras) + len(key) + len(value))), 0),
            self.serial, self._cas_of(fields.pop("cas", "0")))
        if fields:
            raise StoryError(f"what is {fields} in {text!r}?")
        return header + extras + key + value

    def _expect(self, client: Client, text: str) -> None:
        opcode, fields = self._fields(text)
        packet = self._read(lambda: client.read(HEADER.size))
        if len(packet) < HEADER.size:
            self._fail(text, packet)
        magic, got_opcode, key_size, extras_size, _, status, body_size, opaque, cas = (
            HEADER.unpack(packet))
        body = self._read(lambda: client.read(min(body_size, 1 << 22)))
        self._note("<", packet + body)
        extras, key, value = (body[:extras_size], body[extras_size:extras_size + key_size],
                              body[extras_size + key_size:])
        wanted_status = int(fields.pop("status", "0"), 0)
        wanted_key = self.words.to_bytes(fields.pop("key", "").replace("*", "\\x2a"))
        wanted_key = key if wanted_key == b"*" else wanted_key
        wanted_extras = (struct.pack(">I", int(fields.pop("flags"), 0)) if "flags" in fields
                         else b"")
        if "number" in fields:
            wanted_value = struct.pack(">Q", int(fields.pop("number"), 0))
        elif "value" in fields:
            wanted_value = self.words.to_bytes(fields.pop("value").replace("*", "\\x2a"))
        else:
            wanted_value = b"" if wanted_key else TEXTS.get(wanted_status, b"")
        if wanted_value == b"*":
            wanted_value = value
        wanted_cas = fields.pop("cas", "0")
        of = int(fields.pop("of", "1"))
        if fields:
            raise StoryError(f"what is {fields} in {text!r}?")
        is_statistic = opcode == OPCODES["stat"] and wanted_key != b""  # and others follow
        opaque_wanted = self._answered(opcode, of, still_open=is_statistic)
        if wanted_cas == "*":
            cas_right = cas != 0
        elif wanted_cas.isidentifier() and wanted_cas not in self.cas:
            cas_right, self.cas[wanted_cas] = cas != 0, cas
        else:
            cas_right = cas == self._cas_of(wanted_cas)
        if not cas_right or (magic, got_opcode, status, extras, key, value, opaque) != (
                0x81, opcode, wanted_status, wanted_extras, wanted_key, wanted_value,
                opaque_wanted):
            self._fail(text, packet + body)

    def _answered(self, opcode: int, of: int, still_open: bool) -> int | None:
        """The opaque of the open request that is answered; those before it never will be."""
        opaques = [opaque for code, opaque in self.unanswered if code == opcode][:of]
        closed = opaques[:-1] if still_open else opaques
        self.unanswered = [one for one in self.unanswered if one[1] not in closed]
        return opaques[-1] if len(opaques) == of else None

    def _read(self, read: Callable[[], bytes]) -> bytes:
        try:
            return read()
        except Silence as silence:
            return silence.got

    def _note(self, direction: str, data: bytes) -> None:
        self.transcript.append(f"{direction} {shorten(data)}")

    def _fail(self, wanted: str, got: bytes) -> None:
        raise Mismatch("\n".join([*self.transcript[-12:], f"expected {wanted}",
                                  f"got      {shorten(got)}"]))

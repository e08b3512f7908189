"""Carries out attacks, many at once: a process of its own, so that a witness waits for no attacker.

Nothing here judges. What a server answers is read, or not, and forgotten; how long an attacker
waits decides how hard it presses, and never what passes.
"""

from __future__ import annotations

import itertools
import selectors
import socket
import struct
import time

import attacks

LIVE_MAX = 40
STAYING_MAX = 24
RECEIVE_BUFFER_BYTES = 8192


class Doors:
    """Where the server can be reached, by the names that attacks use."""

    def __init__(self, port: int, unix_path: str | None, udp_port: int | None, locked: bool):
        self.locked = locked
        self._port = port
        self._unix_path = unix_path
        self._udp_port = udp_port
        self.names = ("tcp", "tcp", "tcp", *(["unix"] if unix_path else []),
                      *(["udp"] if udp_port else []))

    def connect(self, door: str, reads: bool) -> socket.socket:
        family = socket.AF_UNIX if door == "unix" else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM if door == "udp" else socket.SOCK_STREAM)
        if not reads:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        sock.settimeout(10)
        if door == "unix":
            sock.connect(self._unix_path)
        else:
            sock.connect(("127.0.0.1", self._udp_port if door == "udp" else self._port))
        if door == "tcp":
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        return sock


class _Live:
    """An attack under way."""

    def __init__(self, attack: attacks.Attack, doors: Doors):
        self.attack = attack
        self.sock = doors.connect(attack.door, attack.reads)
        self.pieces = [memoryview(piece) for piece in reversed(attack.pieces)]
        self.active_at = time.monotonic()
        self.over = False

    def events(self) -> int:
        waits = self.attack.ending in ("wait", "half") and not self.pieces
        reads = self.attack.reads or waits
        return selectors.EVENT_READ * reads | selectors.EVENT_WRITE * bool(self.pieces)

    def go_on(self, mask: int) -> None:
        self.active_at = time.monotonic()
        try:
            if mask & selectors.EVENT_READ and not self.sock.recv(1 << 18):
                self.over = self.attack.door != "udp"
            if mask & selectors.EVENT_WRITE and self.pieces:
                self._send()
        except BlockingIOError:
            pass
        except OSError:  # the server has closed, or a datagram found nobody
            self.over = self.attack.door != "udp"

    def _send(self) -> None:
        piece = self.pieces.pop()
        if self.attack.door == "udp":
            self.sock.send(piece)
            return
        sent = self.sock.send(piece[:1 << 18]) if piece else 0
        if sent < len(piece):
            self.pieces.append(piece[sent:])
        elif not self.pieces and self.attack.ending == "half":
            self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        if self.attack.ending in ("reset", "stay") and self.attack.door != "udp":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def is_done(self, now: float) -> bool:
        if self.over or now > self.active_at + self.attack.patience_s:
            return True
        return (not self.pieces and self.attack.ending in ("close", "reset", "stay")
                and now >= self.active_at + self.attack.pause_s)


def run(seed: str, numbers: range, doors: Doors, hold: bool) -> None:
    """Carries out the attacks of these numbers, LIVE_MAX at a time.

    With `hold` those that stay do so until this process is killed.
    """
    ahead = iter(numbers)
    live: list[_Live] = []
    staying: list[_Live] = []
    with selectors.DefaultSelector() as selector:
        while True:
            for number in itertools.islice(ahead, LIVE_MAX - len(live)):
                attack = attacks.make(seed, number, doors.names, doors.locked)
                try:
                    live.append(_Live(attack, doors))
                except OSError:  # nobody listens
                    raise SystemExit(1)
                _watch(selector, live[-1])
            if not live:
                break
            for key, mask in selector.select(0.005):
                key.data.go_on(mask)
                _watch(selector, key.data)
            now = time.monotonic()
            done = [one for one in live if one.is_done(now)]
            live = [one for one in live if one not in done]
            for one in done:
                _forget(selector, one)
                if one.attack.ending == "stay" and not one.over and len(staying) < STAYING_MAX:
                    staying.append(one)
                else:
                    one.close()
    while hold:
        time.sleep(1)
    for one in staying:
        one.close()


def _watch(selector: selectors.BaseSelector, one: _Live) -> None:
    events = 0 if one.over else one.events()
    key = selector.get_map().get(one.sock)
    if key is None and events:
        selector.register(one.sock, events, one)
    elif key is not None and not events:
        selector.unregister(one.sock)
    elif key is not None and key.events != events:
        selector.modify(one.sock, events, one)


def _forget(selector: selectors.BaseSelector, one: _Live) -> None:
    if one.sock in selector.get_map():
        selector.unregister(one.sock)

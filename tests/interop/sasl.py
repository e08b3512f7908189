"""Clients that authenticate: a server started with -S, and the database of users it asks.

The database is Cyrus SASL's own, sasldb, written by its library as saslpasswd2 does it (that
program's package brings a daemon along); SASL_CONF_PATH leads the server to it.
"""

from __future__ import annotations

import base64
import ctypes
import hashlib
import hmac
import os
import socket
import struct
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pylibmc

import isolation
import scripts
import servers
from case import Case
from lib.ports import free_port
from lib.server import Program, Server
from python_clients import content, equal, expect, refuses

USER, PASSWORD = "torc", "open sesame"
_SASL_SET_CREATE = 1
# What the server calls itself towards the library, and so the name of its file of settings.
_SETTINGS_FILE = "memcached.conf"


def _write_user(folder: str) -> None:
    """In a process of its own: the library reads SASL_CONF_PATH once."""
    os.environ["SASL_CONF_PATH"] = folder
    sasl = ctypes.CDLL("libsasl2.so.2")
    connection = ctypes.c_void_p()
    equal(sasl.sasl_server_init(None, b"memcached"), 0)
    equal(sasl.sasl_server_new(b"memcached", socket.gethostname().encode(), None, None, None, None,
                               0, ctypes.byref(connection)), 0)
    password = PASSWORD.encode()
    equal(sasl.sasl_setpass(connection, USER.encode(), password, len(password), None, 0,
                            _SASL_SET_CREATE), 0)


@contextmanager
def server_with_user(program: Program, *args: str) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="torc-sasl-") as folder:
        Path(folder, _SETTINGS_FILE).write_text(
            "mech_list: plain scram-sha-1 scram-sha-256\n"
            "pwcheck_method: auxprop\nauxprop_plugin: sasldb\n"
            f"sasldb_path: {folder}/users\n")
        isolation.run(_write_user, folder)
        with servers.at_port(program, free_port(), "-S", *args, probe=servers.BINARY_PROBE,
                             env={"SASL_CONF_PATH": folder}) as server:
            yield server


def _client(port: int, user: str, password: str) -> pylibmc.Client:
    return pylibmc.Client([f"127.0.0.1:{port}"], binary=True, username=user, password=password)


def pylibmc_authenticates(port: int) -> None:
    client = _client(port, USER, PASSWORD)
    pairs = {f"key{i}": content(i * 100 + 1) for i in range(100)}
    equal(client.set_multi(pairs), [])
    equal(client.get_multi(list(pairs)), pairs)
    refuses(_client(port, USER, PASSWORD + "x").get, "key1", errors=(pylibmc.Error,))
    refuses(_client(port, "nobody", PASSWORD).get, "key1", errors=(pylibmc.Error,))
    anyone = pylibmc.Client([f"127.0.0.1:{port}"], binary=True)
    refuses(anyone.set, "key1", "stolen", errors=(pylibmc.Error,))
    equal(client.get("key1"), content(101))


# -- Users whom a daemon knows: what libsasl2 asks saslauthd for --


class _PasswordDaemon:
    """Answers as saslauthd does: four strings with their sizes come, one goes."""

    def __init__(self, folder: str) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{folder}/mux")
        self._listener.listen()
        os.chmod(f"{folder}/mux", 0o777)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection, connection.makefile("rwb") as stream:
                user, password, service, _ = (
                    stream.read(int.from_bytes(stream.read(2), "big")).decode() for _ in range(4))
                good = (user, password, service) == (USER, PASSWORD, "memcached")
                stream.write(b"\0\2OK" if good else b"\0\2NO")


def saslauthd_is_asked(program: Program, *args: str) -> None:
    with tempfile.TemporaryDirectory(prefix="torc-sasl-") as folder:
        os.chmod(folder, 0o755)
        Path(folder, _SETTINGS_FILE).write_text(
            f"mech_list: plain\npwcheck_method: saslauthd\nsaslauthd_path: {folder}/mux\n")
        _PasswordDaemon(folder)
        with servers.at_port(program, free_port(), "-S", *args, probe=servers.BINARY_PROBE,
                             env={"SASL_CONF_PATH": folder}) as server:
            pylibmc_authenticates(server.port)


# -- Mechanisms of several steps, which few clients speak: our own, RFC 5802 and 7677 --

_HEADER = struct.Struct(">BBHBBHIIQ")
_LIST, _AUTH, _STEP, _VERSION = 0x20, 0x21, 0x22, 0x0B
_OK, _AUTH_ERROR, _CONTINUE = 0, 0x20, 0x21
TIMEOUT_S = 30


class _Talk:
    """A connection that asks and is answered, one packet at a time."""

    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)

    def ask(self, opcode: int, key: bytes = b"", value: bytes = b"") -> tuple[int, bytes]:
        """The status, and the body of the answer."""
        self._sock.sendall(_HEADER.pack(0x80, opcode, len(key), 0, 0, 0, len(key) + len(value),
                                        opcode, 0) + key + value)
        magic, got_opcode, _, _, _, status, size, _, _ = _HEADER.unpack(self._read(_HEADER.size))
        equal((magic, got_opcode), (0x81, opcode))
        return status, self._read(size)

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._sock.recv(size - len(data))
            expect(more, "the server closed")
            data += more
        return data


class _Scram:
    """One exchange of a client, as far as it goes: what it says next, and what proves the server."""

    def __init__(self, digest: str, user: str, password: str) -> None:
        self.mechanism = b"SCRAM-" + digest.upper().encode()
        self._digest = digest.replace("-", "")
        self._password = password.encode()
        nonce = base64.b64encode(os.urandom(18)).decode()
        self._first = f"n={user},r={nonce}".encode()

    def first(self) -> bytes:
        return b"n,," + self._first

    def final(self, challenge: bytes) -> bytes:
        fields = dict(part.split(b"=", 1) for part in challenge.split(b","))
        salted = hashlib.pbkdf2_hmac(self._digest, self._password, base64.b64decode(fields[b"s"]),
                                     int(fields[b"i"]))
        without_proof = b"c=biws,r=" + fields[b"r"]
        message = self._first + b"," + challenge + b"," + without_proof
        key = self._hmac(salted, b"Client Key")
        signature = self._hmac(hashlib.new(self._digest, key).digest(), message)
        proof = bytes(a ^ b for a, b in zip(key, signature))
        self.server_proof = b"v=" + base64.b64encode(
            self._hmac(self._hmac(salted, b"Server Key"), message))
        return without_proof + b",p=" + base64.b64encode(proof)

    def _hmac(self, key: bytes, text: bytes) -> bytes:
        return hmac.new(key, text, self._digest).digest()


def _authenticate(talk: _Talk, scram: _Scram) -> int:
    """Goes through an exchange; the status of its end."""
    status, challenge = talk.ask(_AUTH, scram.mechanism, scram.first())
    if status != _CONTINUE:
        return status
    status, answer = talk.ask(_STEP, scram.mechanism, scram.final(challenge))
    if status == _CONTINUE:  # the server proves itself, and waits for the client to say so
        equal(answer, scram.server_proof)
        status, answer = talk.ask(_STEP, scram.mechanism, b"")
    if status == _OK:
        equal(answer, b"Authenticated")
    return status


def scram_authenticates(digest: str, port: int) -> None:
    talk = _Talk(port)
    status, mechanisms = talk.ask(_LIST)
    expect(f"SCRAM-{digest.upper()}".encode() in mechanisms.split(), f"not in {mechanisms!r}")
    equal(_authenticate(talk, _Scram(digest, USER, PASSWORD)), _OK)
    equal(talk.ask(0x01, b"scram", b"")[0], 4)  # let in: what is wrong with a set is said
    for user, password in ((USER, PASSWORD + "x"), ("nobody", PASSWORD)):
        equal(_authenticate(_Talk(port), _Scram(digest, user, password)), _AUTH_ERROR)


def scram_steps(digest: str, port: int) -> None:
    """A step belongs to the exchange that is under way, and to its mechanism."""
    for opcode, mechanism in ((_STEP, b"PLAIN"), (_AUTH, b"PLAIN")):
        talk, scram = _Talk(port), _Scram(digest, USER, PASSWORD)
        status, challenge = talk.ask(_AUTH, scram.mechanism, scram.first())
        equal(status, _CONTINUE)
        equal(talk.ask(opcode, mechanism, b"\0nobody\0wrong")[0], _AUTH_ERROR)
        equal(talk.ask(_STEP, scram.mechanism, scram.final(challenge))[0], _AUTH_ERROR)
        # After any number of failures.
        equal(_authenticate(talk, _Scram(digest, USER, PASSWORD)), _OK)


CASES = [
    Case("SCRAM-SHA-1", partial(scram_authenticates, "sha-1")),
    Case("SCRAM-SHA-256", partial(scram_authenticates, "sha-256")),
    Case("SCRAM, steps out of place", partial(scram_steps, "sha-256")),
    Case("pylibmc, SASL", pylibmc_authenticates),
    Case("npm memjs, SASL", lambda port: scripts.npm_client(port, "memjs", USER, PASSWORD),
         absent=scripts.npm_absent),
]

# Called with the program and its options: they start servers of their own.
SERVER_CASES = [Case("pylibmc, saslauthd", saslauthd_is_asked)]

"""Clients that authenticate: a server started with -S, and the database of users it asks.

The database is Cyrus SASL's own, sasldb, written by its library as saslpasswd2 does it (that
program's package brings a daemon along); SASL_CONF_PATH leads the server to it.
"""

from __future__ import annotations

import ctypes
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pylibmc

import isolation
import scripts
import servers
from case import Case
from lib.ports import free_port
from lib.server import Program, Server
from python_clients import content, equal, refuses

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
            "mech_list: plain\npwcheck_method: auxprop\nauxprop_plugin: sasldb\n"
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


CASES = [
    Case("pylibmc, SASL", pylibmc_authenticates, needs="sasl"),
    Case("npm memjs, SASL", lambda port: scripts.npm_client(port, "memjs", USER, PASSWORD),
         needs="sasl", absent=scripts.npm_absent),
]

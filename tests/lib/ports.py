"""Ports for servers: each is one program's at a time, and never a client's.

The kernel gives clients ports of its ephemeral range: a port of that range that is free now may be
some connection's a moment later, and a server told to listen there does not start. Ports below it
are nobody's. Two programs that look for one at the same time would find the same; so a port is
reserved by a name among abstract sockets, for as long as the process that reserved it looks for no
more than _HELD_MAX others.
"""

import random
import socket
from collections import deque

_FIRST = 10000
_HELD_MAX = 64
_held: deque[socket.socket] = deque()


def _ephemeral_first() -> int:
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as range_file:
            return int(range_file.read().split()[0])
    except OSError:
        return 32768


def _reserve(port: int) -> bool:
    name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        name.bind(f"\0port-under-test-{port}")
    except OSError:
        name.close()
        return False
    _held.append(name)
    if len(_held) > _HELD_MAX:
        _held.popleft().close()
    return True


def _is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free_port(host: str = "127.0.0.1") -> int:
    """A port of `host` that nobody else is given."""
    last = _ephemeral_first() - 1
    for _ in range(1000):
        # Where the ephemeral range begins too low to leave room, any port will do.
        port = random.randint(*((_FIRST, last) if last > _FIRST + 1000 else (_FIRST, 65535)))
        if _is_free(host, port) and _reserve(port):
            return port
    raise OSError(f"no port of {host} is free")

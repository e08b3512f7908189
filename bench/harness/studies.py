"""What takes more than one run of the load generator, by name."""

from collections.abc import Callable

from . import memory, protocols, slap, tail, threads
from .measure import Bench
from .servers import Server

_MODULES = {"protocols": protocols, "tail": tail, "threads": threads, "memory": memory,
            "slap": slap}
# Each prints its tables, and returns what the report wants of it. The last argument is the scale:
# tiny, quick or full.
STUDIES: dict[str, Callable[[Bench, list[Server], str], dict]] = {
    name: module.run for name, module in _MODULES.items()}
TITLES = {name: module.TITLE for name, module in _MODULES.items()}

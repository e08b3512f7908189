"""What takes more than one run of the load generator, by name."""

from collections.abc import Callable

from . import memory, protocols, slap, tail, threads
from .measure import Bench
from .servers import Server

# Each prints its tables, and returns what the report wants of it. The last argument is the scale:
# tiny, quick or full.
STUDIES: dict[str, Callable[[Bench, list[Server], str], dict]] = {
    "protocols": protocols.run,
    "tail": tail.run,
    "threads": threads.run,
    "memory": memory.run,
    "slap": slap.run,
}
TITLES = {name: module.TITLE for name, module in
          (("protocols", protocols), ("tail", tail), ("threads", threads), ("memory", memory), ("slap", slap))}

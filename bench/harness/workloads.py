"""The kinds of work, by name. README.md and docs/benchmarks.md say what each is for."""

from dataclasses import dataclass, replace

from .servers import Server

FILL_CONNECTIONS = 8


@dataclass(frozen=True)
class Row:
    """One line of a comparison: a kind of work, as options of the load generator."""

    name: str
    title: str
    load: tuple[str, ...]
    keys: int = 10_000
    keys_per_request: int = 1
    memory_mb: int = 1024
    connections: int = 50
    key_size: str = "12"
    value_size: str = "100"
    server_options: tuple[str, ...] = ()
    misses: bool = False  # a get may find nothing

    @property
    def unit(self) -> str:
        return "kkeys/s" if self.keys_per_request > 1 else "kops/s"

    @property
    def sizes(self) -> tuple[str, ...]:
        return ("--key-size", self.key_size, "--value-size", self.value_size)

    def is_for(self, server: Server) -> bool:
        """The floor answers with values of 100 bytes to single requests and text's gets of many
        keys, and speaks no binary protocol."""
        return server.stores or (
            self.value_size == "100" and "binary" not in self.load and
            not ("meta" in self.load and self.keys_per_request > 1) and
            not set(self.load) & {"--churn", "--on-miss"})

    @property
    def may_refuse(self) -> tuple[str, ...]:
        """Where items have to make room, memcached refuses stores while its threads that find
        victims do not keep up."""
        return ("--may-refuse",) if self.misses else ()

    def options(self, port: int) -> list[str]:
        return ["--port", str(port), "--connections", str(self.connections), *self.sizes,
                *self.load, *self.may_refuse, "--keys", str(self.keys)]

    def fill_options(self, port: int) -> list[str]:
        return ["--port", str(port), *self.sizes, *expiry_of(self.load), *self.may_refuse,
                "--keys", str(self.keys)]

    def small(self, keys_max: int, connections_max: int) -> "Row":
        """The same kind of work, for a test."""
        connections = min(self.connections, connections_max)
        return replace(self, keys=min(self.keys, keys_max), connections=connections)


def expiry_of(load: tuple[str, ...]) -> tuple[str, ...]:
    """Items that are stored before the run live as long as those of the run."""
    return load[load.index("--ttl"):][:2] if "--ttl" in load else ()


def _protocol(protocol: str, name: str) -> str:
    return name if protocol == "text" else f"{protocol}-{name}"


# ---- What one kind of request costs: ANCHORS.md's rows, and those that compare protocols

_PROTOCOL_WORK = (
    ("get", "get, one at a time", ("--work", "get"), 1),
    ("get-pipeline", "get, pipelines of 16", ("--work", "get", "--pipeline", "16"), 1),
    ("get-multi", "get, 50 keys per batch", ("--work", "get", "--multiget", "50"), 50),
    ("set", "set, one at a time", ("--work", "set"), 1),
    ("set-pipeline", "set, pipelines of 16", ("--work", "set", "--pipeline", "16"), 1),
)
PROTOCOLS = ("text", "binary", "meta")
# By work and protocol: the same work said in three ways.
PROTOCOL_ROWS = {
    (work, protocol): Row(
        _protocol(protocol, work), title if protocol == "text" else f"{protocol} {title}",
        (*(() if protocol == "text" else ("--protocol", protocol)), *load),
        keys_per_request=keys)
    for work, title, load, keys in _PROTOCOL_WORK for protocol in PROTOCOLS
}

BASIC = tuple(PROTOCOL_ROWS[work, "text"] for work, *_ in _PROTOCOL_WORK)
LARGE = (
    Row("large-get-multi", "get, 50 keys per command, over 4,000,000 keys",
        ("--work", "get", "--multiget", "50"), keys=4_000_000, keys_per_request=50,
        memory_mb=2048),
    Row("large-get-pipeline", "get, pipelines of 16, over 4,000,000 keys",
        ("--work", "get", "--pipeline", "16"), keys=4_000_000, memory_mb=2048),
)
# The first table of what torc is measured against.
ANCHORS = (*BASIC, PROTOCOL_ROWS["get-pipeline", "binary"], PROTOCOL_ROWS["get-pipeline", "meta"],
           *LARGE)

# ---- Loads that nobody has, each of which asks for one thing

UNREALISTIC = (
    Row("mixed-pipeline", "nine gets to a set, pipelines of 16",
        ("--work", "mixed", "--set-share", "0.1", "--pipeline", "16")),
    Row("hot-key", "get of one key, pipelines of 16", ("--work", "get", "--pipeline", "16"),
        keys=1),
    Row("churn", "connect, get, close", ("--work", "get", "--churn")),
    Row("idle-connections", "10,000 connections, one in a hundred active",
        ("--work", "get", "--active-share", "0.01"), connections=10_000),
    Row("huge-get", "get of values of 1,000,000 bytes", ("--work", "get"), keys=200,
        connections=8, value_size="1000000"),
    Row("huge-set", "set of values of 1,000,000 bytes", ("--work", "set"), keys=200,
        connections=8, value_size="1000000"),
    Row("byte-segments", "get, each request sent byte by byte",
        ("--work", "get", "--segment-bytes", "1")),
    Row("scan", "a scan over twice the memory, misses stored",
        ("--work", "get", "--popularity", "scan", "--on-miss", "set", "--pipeline", "16"),
        keys=200_000, memory_mb=64, value_size="600", misses=True),
)

# ---- Loads as they were published


def _realistic(name: str, title: str, set_share: float, key_size: str, value_size: str, skew: float,
               keys: int, *load: str) -> Row:
    """A look-aside cache: keys by Zipf's law, what a get misses is stored."""
    return Row(name, title,
               ("--work", "mixed", "--set-share", str(set_share), "--popularity", "zipf",
                "--zipf-skew", str(skew), "--on-miss", "set", *load),
               keys=keys, memory_mb=256, key_size=key_size, value_size=value_size, misses=True)


# Atikoglu and others, Workload analysis of a large-scale key-value store, 2012. Key and value sizes
# are the load generator's distributions of the same names. Shares of stores: ETC and USR as the
# text has them; of APP, VAR and SYS stand-ins of ours: few, most, a third. The paper gives no
# skew; that 1 % of ETC's keys take 55 % of its requests and the lower half of them 1 % is near
# Zipf's law with 1.
FACEBOOK = (
    _realistic("etc", "Facebook's ETC: general purpose, values of many sizes", 1 / 31, "etc", "etc",
               1.0, 500_000),
    _realistic("usr", "Facebook's USR: values of 2 bytes, hardly a set", 0.002, "usr", "usr", 1.0,
               2_000_000),
    _realistic("app", "Facebook's APP: an application's objects", 0.05, "app", "app", 1.0, 500_000),
    _realistic("var", "Facebook's VAR: four sets to a get", 0.82, "var", "var", 1.0, 500_000),
    _realistic("sys", "Facebook's SYS: one set to two gets", 0.33, "sys", "sys", 1.0, 100_000),
)

# Yang and others, A large-scale analysis of hundreds of in-memory cache clusters at Twitter, 2020:
# share of stores, mean sizes of keys and values, commonest expiry and skew, from the statistics
# published with the traces (March 2020). Sizes are the means.
TWITTER = (
    _realistic("twitter-2", "Twitter's cluster 2: gets of small objects", 0.0, "21", "68", 1.4908,
               200_000, "--ttl", "345600"),
    _realistic("twitter-7", "Twitter's cluster 7: objects of 2 KB", 0.18, "17", "1936", 1.0666,
               100_000, "--ttl", "6480"),
    _realistic("twitter-12", "Twitter's cluster 12: four sets to a get", 0.80, "44", "1030", 0.3048,
               500_000, "--ttl", "300"),
    _realistic("twitter-15", "Twitter's cluster 15: sets alone, alive for 30 s", 1.0, "18", "102",
               0.0242, 2_000_000, "--ttl", "30"),
    _realistic("twitter-19", "Twitter's cluster 19: a flat head, a quarter sets", 0.25, "42", "101",
               0.735, 2_000_000, "--ttl", "27000"),
    _realistic("twitter-29", "Twitter's cluster 29: objects of 800 bytes", 0.13, "36", "799",
               1.2323, 500_000, "--ttl", "3600"),
)

ALL = tuple(dict.fromkeys((*ANCHORS, *PROTOCOL_ROWS.values(), *UNREALISTIC, *FACEBOOK, *TWITTER)))
BY_NAME = {row.name: row for row in ALL}
# Names for several rows at once.
GROUPS = {
    "basic": BASIC,
    "anchors": ANCHORS,
    "unrealistic": UNREALISTIC,
    "facebook": FACEBOOK,
    "twitter": TWITTER,
    "realistic": (*FACEBOOK, *TWITTER),
    "rows": ALL,
}

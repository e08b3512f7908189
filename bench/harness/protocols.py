"""Binary against text against meta: the same work said in three ways, on each server.

One at a time, sixteen requests in a batch, and fifty keys in one: a text get of fifty keys, fifty
quiet gets and a no-op of the other two. The protocols take turns within a round as servers do, so
that their ratios bear the same weight. By processor time: the bench's client is the cheaper one for
binary as well, and throughput would show that too. The floor takes part in what it speaks.
"""

from .measure import Bench, Sample
from .rounds import Ratio, by_cpu, take_turns
from .servers import Server
from .show import middle, per_key
from .text import table
from .workloads import PROTOCOL_ROWS, PROTOCOLS, Row

TITLE = "protocols: binary against text against meta, the same work"
# Above this factor a difference of bytes or system calls is a reason for one of time.
TELLING = 1.05
KEYS_TINY = 5_000

WORK = tuple(dict.fromkeys(work for work, _ in PROTOCOL_ROWS))
Samples = dict[tuple[str, str], list[Sample]]


def rows_of(work: str, bench: Bench) -> dict[str, Row]:
    rows = {protocol: PROTOCOL_ROWS[work, protocol] for protocol in PROTOCOLS}
    if not bench.tiny:
        return rows
    return {protocol: row.small(KEYS_TINY, row.connections) for protocol, row in rows.items()}


def run(bench: Bench, servers: list[Server], scale: str) -> dict:
    storing = [server for server in servers if server.stores]
    result: dict = {"work": {}, "samples": []}
    for work in WORK:
        rows = rows_of(work, bench)
        cells = [(server, row) for server in servers for row in rows.values()
                 if row.is_for(server)]
        samples = take_turns(bench, cells)
        result["samples"] += [sample for rounds in samples.values() for sample in rounds]
        result["work"][work] = {
            server.name: [figures_of(protocol, rows, samples, server.name)
                          for protocol in PROTOCOLS]
            for server in storing}
        show_work(work, result["work"][work])
        show_floor(rows, samples, storing)
    show_verdicts(result["work"])
    return result


def figures_of(protocol: str, rows: dict[str, Row], samples: Samples, server: str) -> dict:
    """One protocol's figures a key, and its ratio by processor time to the text protocol."""
    rounds = samples[rows[protocol].name, server]
    ratio = by_cpu(rounds, samples[rows["text"].name, server])
    return {
        "protocol": protocol,
        "kkeys": rows[protocol].unit == "kkeys/s",
        "rate": middle(rounds, "keys_per_second") / 1e3,
        "cpu_us": per_key(rounds, "server_cpu_us"),
        "user_us": per_key(rounds, "server_cpu_us_user"),
        "system_us": per_key(rounds, "server_cpu_us_system"),
        "system_calls": middle(rounds, "system_calls"),
        "bytes_received": middle(rounds, "bytes_received"),
        "bytes_sent": middle(rounds, "bytes_sent"),
        "to_text": list(ratio.rounds),
        "verdict": "" if protocol == "text" else ratio.verdict(protocol, "text"),
    }


def show_work(work: str, by_server: dict[str, list[dict]]) -> None:
    title = PROTOCOL_ROWS[work, "text"].title
    rows = [[f"{server}, {f['protocol']}", f["rate"], f["cpu_us"], f["user_us"], f["system_us"],
             f["system_calls"], f["bytes_received"], f["bytes_sent"],
             "" if f["protocol"] == "text" else str(Ratio(tuple(f["to_text"]))), f["verdict"]]
            for server, figures in by_server.items() for f in figures]
    print()
    table([title, "kkeys/s", "CPU us a key", "user", "system", "calls", "bytes in", "bytes out",
           "text's CPU / its own", ""], rows)


def show_floor(rows: dict[str, Row], samples: Samples, storing: list[Server]) -> None:
    """How close the first server comes to one that keeps nothing, where that speaks the protocol."""
    for protocol, row in rows.items():
        floor = samples.get((row.name, "floor"))
        if floor and storing:
            first = storing[0].name
            ratio = by_cpu(samples[row.name, first], floor)
            print(f"  {protocol}: {first} / floor by cpu {ratio}  {ratio.verdict(first, 'floor')}")


def show_verdicts(works: dict[str, dict[str, list[dict]]]) -> None:
    print("\nwhich comes out ahead, by CPU, and what goes with it")
    for work, by_server in works.items():
        for server, figures in by_server.items():
            print(f"  {PROTOCOL_ROWS[work, 'text'].title}, {server}: {conclusion(figures)}")


def conclusion(figures: list[dict]) -> str:
    """The order of the protocols, as far as the rounds carry it, and what distinguishes them."""
    text = figures[0]
    said = []
    for other in figures[1:]:
        ratio = Ratio(tuple(other["to_text"]))
        if not ratio.is_difference:
            said.append(f"{other['protocol']} and text: {ratio.verdict('', '')}")
            continue
        ahead = ratio.median > 1
        behind_by = ratio.median if ahead else 1 / ratio.median
        said.append(f"{other['protocol'] if ahead else 'text'} ahead of "
                    f"{'text' if ahead else other['protocol']} by {behind_by:.2f}"
                    f" ({reasons(other, text)})")
    return "; ".join(said)


def reasons(other: dict, text: dict) -> str:
    parts = []
    for name, unit in (("user_us", "us user"), ("system_us", "us system"),
                       ("system_calls", "system calls"), ("bytes_received", "bytes in"),
                       ("bytes_sent", "bytes out")):
        a, b = other[name], text[name]
        if a and b and max(a / b, b / a) > TELLING:
            parts.append(f"{a:.3g} {unit} against {b:.3g}")
    return ", ".join(parts) or "nothing that is counted differs by 5 %"

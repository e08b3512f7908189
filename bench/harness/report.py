"""A record as one HTML page that needs nothing else, and its pictures as PNG files."""

import base64
import html
import importlib.util
from pathlib import Path
from statistics import median

from . import stalls

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; margin: 2rem auto; max-width: 70rem;
       padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
table { border-collapse: collapse; font-size: 13px; width: 100%; }
th, td { padding: .2rem .4rem; text-align: right; border-bottom: 1px solid #ddd;
         white-space: nowrap; }
th:first-child, td:first-child, td.said { text-align: left; white-space: normal; }
thead th { border-bottom: 2px solid #888; vertical-align: bottom; }
tr.first td { border-top: 2px solid #bbb; font-weight: 600; } td.server { padding-left: 1.2rem; }
td.ahead { font-weight: 600; color: #0b62a4; } td.behind { font-weight: 600; color: #b3261e; }
td.open { color: #767676; } p.caption, .quiet { color: #555; font-size: 13px; }
img { max-width: 100%; height: auto; } pre { overflow-x: auto; font-size: 12px; background: #f5f5f5;
      padding: .6rem; } .wide { overflow-x: auto; }
"""
MEANING = """Every server ran on the same core, in turn, and every ratio was taken within one round.
The load came over loopback from another core of the same machine: no network, no network card, and
few cores. So these figures say what a request costs the server's processor; they do not say how
many requests a second it answers over a network, nor how it behaves on a machine of many cores. A
difference is called one only if every round shows it and their spread leaves no doubt (95 %)."""


def missing() -> str | None:
    """What keeps a report from being made, if anything does."""
    if importlib.util.find_spec("matplotlib") is None:
        return "matplotlib is not there (Debian: python3-matplotlib)"
    return None


def joined(records: list[dict]) -> dict:
    """One record of several that were taken on the same machine: what was taken later stands in for
    what was taken, or failed, before."""
    whole = records[0]
    for record in records[1:]:
        rows = {row["name"]: row for row in (*whole["rows"], *record["rows"])}
        studies = whole["studies"] | record["studies"]
        failed = whole.get("failed", {}) | record.get("failed", {})
        for name in (*(row["name"] for row in record["rows"]), *record["studies"]):
            if name not in record.get("failed", {}):
                failed.pop(name, None)
        whole = whole | {"rows": list(rows.values()), "studies": studies, "failed": failed,
                         "command": f"{whole['command']}\n{record['command']}"}
    return whole


def write(record: dict, page: Path, plots: Path | None) -> None:
    """Requires that nothing is missing."""
    from .plots import pictures  # loads matplotlib: a second that other runs do without
    drawn = pictures(record)
    if plots:
        plots.mkdir(parents=True, exist_ok=True)
        for picture in drawn:
            (plots / f"{picture.name}.png").write_bytes(picture.png)
    parts = [_head(record), _failed(record), _at_a_glance(record)]
    for picture in drawn:
        data = base64.b64encode(picture.png).decode()
        parts.append(f"<h2>{_text(picture.title)}</h2>\n<img alt='{_text(picture.title)}' "
                     f"src='data:image/png;base64,{data}'>\n"
                     f"<p class=caption>{_text(picture.caption)}</p>")
    parts += [_figures(record), _protocols(record), _threads(record), _commands(record)]
    body = "\n".join(part for part in parts if part)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(f"<!doctype html>\n<html lang=en><meta charset=utf-8>\n"
                    f"<meta name=viewport content='width=device-width'>\n"
                    f"<title>torc: benchmark</title>\n<style>{STYLE}</style>\n{body}\n</html>\n")


def _text(value: object) -> str:
    return html.escape(str(value), quote=True)


def _head(record: dict) -> str:
    m = record["machine"]
    versions = ", ".join(f"{_text(name)} {_text(version)}" if name != version else _text(name)
                         for name, version in m["versions"].items())
    return (f"<h1>{' and '.join(map(_text, m['versions']))}, side by side</h1>\n"
            f"<p class=quiet>{_text(m['taken'])} on {_text(m['processor'])}, {m['cores']} cores, "
            f"{m['memory_gb']} GB; Linux {_text(m['kernel'])}; TCP over loopback, "
            f"{_text(m['congestion'])}. {versions}. Threads of each server: {m['threads']}, on "
            f"core {_text(m['server_cores'])}; load on core {m['load_core']}. {m['rounds']} rounds "
            f"of {m['seconds']:g} s. Cores taken away while nothing else ran: "
            f"{_text(stalls.show(m['stalls'])) if 'stalls' in m else 'not known'}.</p>\n"
            f"<p>{MEANING}</p>")


def _failed(record: dict) -> str:
    """What has no figures: records of before there was this have none either."""
    lines = [f"<li>{_text(name)}<pre>{_text(error)}</pre></li>"
             for name, error in record.get("failed", {}).items()]
    return f"<h2>What failed</h2>\n<ul>{''.join(lines)}</ul>" if lines else ""


def _at_a_glance(record: dict) -> str:
    """How many rows each side leads, and every row's verdict."""
    pairs = list(dict.fromkeys(pair for row in record["rows"] for pair in row["ratios"]))
    parts = []
    for pair in pairs:
        first, other = pair.split(" / ")
        rows = [row for row in record["rows"] if pair in row["ratios"]]
        lines = []
        for row in rows:
            by = row["ratios"][pair]
            cells = "".join(_verdict(by[what], first) for what in ("throughput", "cpu"))
            lines.append(f"<tr><td>{_text(row['title'])}</td>{cells}</tr>")
        ahead = sum(row["ratios"][pair]["cpu"]["verdict"] == f"{first} ahead" for row in rows)
        behind = sum(row["ratios"][pair]["cpu"]["verdict"] == f"{other} ahead" for row in rows)
        parts.append(
            f"<h2>{_text(first)} against {_text(other)}, at a glance</h2>\n<p>By processor time a "
            f"key, {_text(first)} is ahead in {ahead} of {len(rows)} kinds of work, "
            f"{_text(other)} in {behind}; in the others there is no difference that the spread "
            f"carries.</p>\n<div class=wide><table><thead><tr><th>work</th><th>throughput</th>"
            f"<th>rounds</th><th></th><th>CPU</th><th>rounds</th><th></th></tr></thead>\n"
            + "\n".join(lines) + "</table></div>")
    return "\n".join(parts)


def _verdict(ratio: dict, first: str) -> str:
    said = ratio["verdict"]
    kind = ("open" if not said.endswith("ahead") else
            "ahead" if said == f"{first} ahead" else "behind")
    rounds = " ".join(f"{value:.2f}" for value in ratio["rounds"])
    return (f"<td class={kind}>{ratio['median']:.2f}</td><td class=quiet>{rounds}</td>"
            f"<td class='said {kind}'>{_text(said)}</td>")


COLUMNS = (
    # Title, the figure's name, by how much to divide, digits behind the point.
    ("k/s", "keys_per_second", 1e3, 0), ("CPU us", "server_cpu_us", "keys", 3),
    ("user", "server_cpu_us_user", "keys", 3), ("system", "server_cpu_us_system", "keys", 3),
    ("system calls", "system_calls", 1, 3), ("switches", "server_switches_per_request", 1, 3),
    ("bytes in", "bytes_received", 1, 0), ("bytes out", "bytes_sent", 1, 0),
    ("p50 us", "latency_us_p50", 1, 0), ("p99", "latency_us_p99", 1, 0),
    ("p99.9", "latency_us_p999", 1, 0), ("max", "latency_us_max", 1, 0),
    ("core", "server_cpu_share", 0.01, 0), ("hits %", "hit_ratio", 0.01, 2),
    ("MB", "server_resident_bytes", 2**20, 0),
)


def _figures(record: dict) -> str:
    lines = []
    for row in record["rows"]:
        lines.append(f"<tr class=first><td colspan={len(COLUMNS) + 1}>{_text(row['title'])}</td>"
                     "</tr>")
        for server, runs in row["servers"].items():
            cells = []
            for _, name, divisor, digits in COLUMNS:
                known = [f[name] for f in runs["rounds"] if f.get(name) is not None]
                if name == "hit_ratio" and not row["misses"]:
                    known = []
                by = row["keys_per_request"] if divisor == "keys" else divisor
                middle = max if name == "latency_us_max" else median
                cells.append(f"<td>{middle(known) / by:,.{digits}f}</td>" if known else
                             "<td>-</td>")
            lines.append(f"<tr><td class=server>{_text(server)}</td>{''.join(cells)}</tr>")
    if not lines:
        return ""
    head = "".join(f"<th>{title}</th>" for title, *_ in COLUMNS)
    by = record["machine"]["system_calls_by"] or "nothing here: not known"
    return (f"<h2>The figures</h2>\n<p class=caption>Medians of the rounds; times, calls and bytes "
            f"a key; switches a request; core: how much of its core the server used, in per cent. "
            f"Latencies are of a closed loop: the length of the line more than the speed of an "
            f"answer. System calls counted by {by}.</p>\n<div class=wide><table><thead><tr>"
            f"<th></th>{head}</tr></thead>\n" + "\n".join(lines) + "</table></div>")


def _protocols(record: dict) -> str:
    from .protocols import WORK, conclusion
    study = record["studies"].get("protocols")
    if not study:
        return ""
    lines = [f"<li>{_text(work)}, {_text(server)}: {_text(conclusion(figures))}</li>"
             for work in WORK for server, figures in study["work"].get(work, {}).items()]
    return "<h2>Which protocol comes out ahead, by CPU</h2>\n<ul>" + "\n".join(lines) + "</ul>"


def _threads(record: dict) -> str:
    study = record["studies"].get("threads")
    if not study or "skipped" in study:
        return ""
    from .rounds import Ratio
    from .threads import verdict
    from .workloads import BY_NAME
    lines = []
    for work, by_server in study["work"].items():
        lines.append(f"<tr class=first><td colspan=5>{_text(BY_NAME[work].title)}</td></tr>")
        for server, f in by_server.items():
            cells = "".join(f"<td>{f['cpu_us'][way]:.3f}</td>" for way in ("apart", "together"))
            lines.append(f"<tr><td class=server>{_text(server)}</td>{cells}"
                         f"<td>{_text(Ratio(tuple(f['ratio'])))}</td>"
                         f"<td class=said>{_text(verdict(f['ratio']))}</td></tr>")
    count = study["threads"]
    return (f"<h2>What it costs that threads serve one cache</h2>\n<p class=caption>Processor time "
            f"a key, us, of {count} servers of one thread each and of one server of {count} "
            f"threads, on the same cores with the same clients; the ratio round by round.</p>\n"
            "<table><thead><tr><th></th><th>apart</th><th>together</th><th>together / apart</th>"
            "<th></th></tr></thead>\n" + "\n".join(lines) + "</table>")


def _commands(record: dict) -> str:
    lines = [record["command"], ""]
    for name, command in record["machine"]["commands"].items():
        lines += [f"{name}:", f"  {command}"]
    for row in record["rows"]:
        lines += ["", row["title"]]
        for server, runs in row["servers"].items():
            lines += [f"  {command}" for command in runs["commands"].values()]
    mitigations = ", ".join(record["machine"]["mitigations"]) or "none"
    return (f"<h2>Commands</h2>\n<details><summary>the exact command lines of the first round"
            f"</summary><pre>{_text(chr(10).join(lines))}</pre></details>\n"
            f"<p class=quiet>Processor flaws that the kernel works around: {_text(mitigations)}."
            f"</p>")

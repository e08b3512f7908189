"""The pictures of a record, each as a PNG.

Ratios are on a logarithmic axis, where twice and half are equally far from 1, with the line of 1 in
it whatever the figures; points are medians, bars reach from the lowest round to the highest; a
hollow point is a difference that the spread does not carry. Latencies and memory have zero or a
power of ten at the edge, never a value that makes a small difference tall.
"""

import io
import math
from dataclasses import dataclass
from statistics import median

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

COLOURS = {"torc": "#0b62a4", "memcached": "#d1661e", "floor": "#7f7f7f"}
FURTHER_COLOURS = ("#2a8a43", "#8a3ea8", "#a8913e", "#3e9ea8")
THROUGHPUT, CPU = "#0b62a4", "#2a8a43"
WIDTH_INCHES = 9.5
DPI = 110
# What of a load's latencies is drawn, with the share of requests that took longer.
PERCENTILES = (("p50", 0.5, "median"), ("p90", 0.1, "90 %"), ("p99", 0.01, "99 %"),
               ("p999", 0.001, "99.9 %"), ("p9999", 0.0001, "99.99 %"))
CURVES = ("p50", "p99", "p999")


@dataclass(frozen=True)
class Picture:
    name: str
    title: str
    caption: str
    png: bytes


def pictures(record: dict) -> list[Picture]:
    found = []
    for pair in pairs_of(record):
        found.append(ratios(record, pair))
    studies = record["studies"]
    if tail := studies.get("tail"):
        found += [latency_curves(tail), percentiles(tail)]
        if any(point["disturbance"] for point in tail["points"]):
            found.append(disturbed(tail))
    if protocols := studies.get("protocols"):
        found.append(protocol_costs(protocols))
    if memory := studies.get("memory"):
        found += [hit_ratios(memory), item_sizes(memory)]
    return found


def pairs_of(record: dict) -> list[str]:
    return list(dict.fromkeys(pair for row in record["rows"] for pair in row["ratios"]))


def colour(server: str, servers: list[str]) -> str:
    others = [name for name in servers if name not in COLOURS]
    return COLOURS.get(server) or FURTHER_COLOURS[others.index(server) % len(FURTHER_COLOURS)]


def ratios(record: dict, pair: str) -> Picture:
    """Throughput and CPU time of all rows that both servers ran."""
    rows = [row for row in record["rows"] if pair in row["ratios"]]
    figure = Figure(figsize=(WIDTH_INCHES, 1.3 + 0.42 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    values = [1.0]
    for position, row in enumerate(rows):
        for what, offset, ink in (("throughput", -0.13, THROUGHPUT), ("cpu", 0.13, CPU)):
            ratio = row["ratios"][pair][what]
            low, high = min(ratio["rounds"]), max(ratio["rounds"])
            values += [low, high]
            is_difference = ratio["verdict"].endswith("ahead")
            axes.errorbar(ratio["median"], position + offset,
                          xerr=[[ratio["median"] - low], [high - ratio["median"]]],
                          fmt="o" if what == "throughput" else "s", color=ink, markersize=6,
                          markerfacecolor=ink if is_difference else "white", capsize=3,
                          linewidth=1.3)
            axes.annotate(f"{ratio['median']:.2f}", (high, position + offset), (6, 0),
                          textcoords="offset points", va="center", fontsize=7.5, color=ink)
    first, other = pair.split(" / ")
    _ratio_axis(axes, values)
    axes.set_yticks(range(len(rows)), [row["title"] for row in rows], fontsize=8.5)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel(f"{first} to {other}; to the right of 1, {first} is ahead")
    for ink, marker, text in ((THROUGHPUT, "o", "throughput"), (CPU, "s", "CPU time (inverse)")):
        axes.plot([], [], marker, color=ink, label=text)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False, fontsize=9)
    return Picture(f"ratios-{first}-{other}".replace(" ", "-"), f"{first} against {other}",
                   f"Throughput of {first} by that of {other}, and processor time a key of {other} "
                   f"by that of {first}, on a logarithmic axis. Points are medians, bars go from "
                   "the lowest round to the highest. A hollow point: no difference that the spread "
                   "carries, or one that the servers did not make.", _png(figure))


def _ratio_axis(axes, values: list[float]) -> None:
    """Logarithmic and symmetric about nothing but its data and 1."""
    low, high = min(values) / 1.15, max(values) * 1.25
    axes.set_xscale("log")
    axes.set_xlim(min(low, 0.8), max(high, 1.25))
    steps = [step for step in (0.1, 0.2, 0.33, 0.5, 0.67, 0.8, 1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 7, 10,
                               20, 50, 100) if min(low, 0.8) <= step <= max(high, 1.25)]
    axes.set_xticks(steps, [f"{step:g}" for step in steps], fontsize=8)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", which="minor", length=0)
    axes.axvline(1, color="black", linewidth=1.2)
    axes.grid(axis="x", color="#dddddd", linewidth=0.7)
    _plain(axes)


def latency_curves(tail: dict) -> Picture:
    points = [point for point in tail["points"] if point["disturbance"] is None]
    servers = list(points[0]["rounds"])
    figure = Figure(figsize=(WIDTH_INCHES, 3.7), layout="constrained")
    all_axes = figure.subplots(1, len(CURVES), sharey=True, sharex=True)
    for axes, name in zip(all_axes, CURVES):
        for server in servers:
            shares = [100 * point["share"] for point in points]
            rounds = [_known(point, server, f"latency_us_{name}") for point in points]
            _line(axes, shares, rounds, server, servers)
        axes.set_yscale("log")
        axes.set_xlim(0, 100)
        axes.set_title(_label(name), fontsize=10)
        axes.grid(color="#dddddd", linewidth=0.7)
        _plain(axes)
    _microseconds(all_axes)
    all_axes[1].set_xlabel(f"load: % of what {tail['saturation_of']} does at most "
                           f"({tail['saturation'] / 1e3:,.0f} thousand requests a second)")
    all_axes[0].legend(frameon=False, fontsize=9)
    return Picture("latency-load", "Latency against load",
                   "Open loop, Poisson arrivals, each request's latency counted from when it was "
                   "due. Lines are medians, bands go from the lowest round to the highest." +
                   _waited(points), _png(figure))


def percentiles(tail: dict) -> Picture:
    """The share of requests that took longer, down to one in 10,000, at each load."""
    points = [point for point in tail["points"] if point["disturbance"] is None]
    servers = list(points[0]["rounds"])
    figure = Figure(figsize=(WIDTH_INCHES, 3.7), layout="constrained")
    all_axes = figure.subplots(1, len(points), sharey=True, squeeze=False)[0]
    for axes, point in zip(all_axes, points):
        names = [p for p in PERCENTILES
                 if all(_known(point, server, f"latency_us_{p[0]}") for server in servers)]
        for server in servers:
            rounds = [_known(point, server, f"latency_us_{name}") for name, *_ in names]
            _line(axes, [1 / rest for _, rest, _ in names], rounds, server, servers)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks([1 / rest for _, rest, _ in names],
                        [text.replace("median", "50 %") for *_, text in names], fontsize=7.5,
                        rotation=45)
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.tick_params(axis="x", which="minor", length=0)
        axes.set_title(f"{point['share']:.0%} of saturation", fontsize=10)
        axes.grid(color="#dddddd", linewidth=0.7)
        _plain(axes)
    _microseconds(all_axes)
    all_axes[0].legend(frameon=False, fontsize=9)
    return Picture("percentiles", "How the slowest requests fare",
                   "At each load, the latency that so many requests stay below. To the right, ever "
                   "fewer requests are slower: one in ten, in a hundred, in a thousand.",
                   _png(figure))


def disturbed(tail: dict) -> Picture:
    points = [point for point in tail["points"] if point["disturbance"]]
    calm = next((point for point in tail["points"] if point["disturbance"] is None and
                 point["share"] == points[0]["share"]), None)
    shown = ([("undisturbed", calm)] if calm else []) + [(p["disturbance"], p) for p in points]
    servers = list(points[0]["rounds"])
    figure = Figure(figsize=(WIDTH_INCHES, 3.9), layout="constrained")
    all_axes = figure.subplots(1, 2, sharey=True)
    for axes, name in zip(all_axes, ("p99", "p999")):
        for number, server in enumerate(servers):
            offset = (number - (len(servers) - 1) / 2) * 0.22
            for position, (_, point) in enumerate(shown):
                rounds = _known(point, server, f"latency_us_{name}")
                middle = median(rounds)
                axes.errorbar(position + offset, middle,
                              yerr=[[middle - min(rounds)], [max(rounds) - middle]], fmt="o",
                              color=colour(server, servers), capsize=3, markersize=6,
                              label=server if position == 0 else None)
        axes.set_yscale("log")
        axes.set_xticks(range(len(shown)), [text for text, _ in shown], fontsize=8.5, rotation=30)
        axes.set_title(_label(name), fontsize=10)
        axes.grid(axis="y", color="#dddddd", linewidth=0.7)
        _plain(axes)
    _microseconds(all_axes)
    all_axes[0].legend(frameon=False, fontsize=9)
    return Picture("disturbed", f"Latency at {points[0]['share']:.0%} of saturation, beside "
                   "disturbances", "Medians of the rounds, bars from the lowest to the highest. "
                   "What disturbs is described in docs/benchmarks.md." + _waited(points),
                   _png(figure))


def protocol_costs(protocols: dict) -> Picture:
    works = protocols["work"]
    servers = list(next(iter(works.values())))
    figure = Figure(figsize=(WIDTH_INCHES, 3.4), layout="constrained")
    all_axes = figure.subplots(1, len(works))
    inks = {"text": "#0b62a4", "binary": "#d1661e", "meta": "#2a8a43"}
    for axes, (work, by_server) in zip(all_axes, works.items()):
        position = 0
        for server in servers:
            for f in by_server[server]:
                ink = inks[f["protocol"]]
                # The median of a sum is not the sum of medians: the total divides as they do.
                system = f["cpu_us"] * f["system_us"] / ((f["user_us"] + f["system_us"]) or 1)
                axes.bar(position, system, color=ink, alpha=0.45, width=0.85)
                axes.bar(position, f["cpu_us"] - system, bottom=system, color=ink, width=0.85,
                         label=f["protocol"] if server == servers[0] else None)
                position += 1
            position += 0.7
        axes.set_title(work, fontsize=9.5)
        axes.set_ylim(0, 1.1 * max(f["cpu_us"] for figures in by_server.values() for f in figures))
        axes.set_xticks([1 + i * 3.7 for i in range(len(servers))], servers, fontsize=7.5)
        axes.tick_params(axis="y", labelsize=7.5)
        axes.grid(axis="y", color="#dddddd", linewidth=0.7)
        axes.set_axisbelow(True)
        _plain(axes)
    all_axes[0].set_ylabel("CPU us a key")
    all_axes[0].legend(frameon=False, fontsize=8)
    return Picture("protocols", "What a key costs in each protocol",
                   "Processor time a key: the pale part in the kernel, the dark one in the server. "
                   "Each panel has a scale of its own, from zero.", _png(figure))


def hit_ratios(memory: dict) -> Picture:
    names = list(dict.fromkeys(point["trace"] for point in memory["replay"]))
    servers = list(memory["replay"][0]["hit_ratio"])
    figure = Figure(figsize=(WIDTH_INCHES, 3.5), layout="constrained")
    all_axes = figure.subplots(1, len(names), squeeze=False)[0]
    for axes, trace in zip(all_axes, names):
        points = [point for point in memory["replay"] if point["trace"] == trace]
        for server in servers:
            axes.plot([point["memory_mb"] for point in points],
                      [100 * point["hit_ratio"][server] for point in points], "o-",
                      color=colour(server, servers), label=server)
        axes.set_xscale("log", base=2)
        axes.set_xticks([point["memory_mb"] for point in points],
                        [str(point["memory_mb"]) for point in points])
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(0, 100)
        axes.set_title(trace, fontsize=10)
        axes.set_xlabel("-m, MB")
        axes.grid(color="#dddddd", linewidth=0.7)
        _plain(axes)
    all_axes[0].set_ylabel("hits, %")
    all_axes[0].legend(frameon=False, fontsize=9, loc="lower right")
    return Picture("hit-ratio", "Hits over memory",
                   f"Look-aside replay of the first {memory['requests']:,} requests of each trace "
                   "(real ones, where the name is not 'made up'), the memory limit as the server's "
                   "own -m.", _png(figure))


def item_sizes(memory: dict) -> Picture:
    rows = memory["density"]
    servers = list(rows[0]["servers"])
    figure = Figure(figsize=(WIDTH_INCHES, 3.2), layout="constrained")
    all_axes = figure.subplots(1, len(rows), squeeze=False)[0]
    for axes, row in zip(all_axes, rows):
        content = sum(map(int, row["row"].split("/")))
        for position, server in enumerate(servers):
            value = row["servers"][server]["bytes_per_item"]
            axes.bar(position, value, color=colour(server, servers), width=0.7)
            axes.annotate(f"{value:,.0f}", (position, value), (0, 2), textcoords="offset points",
                          ha="center", fontsize=8)
        axes.axhline(content, color="black", linewidth=1, linestyle=":")
        axes.set_title(f"key {row['row'].replace('/', ', value ')}", fontsize=9)
        axes.set_xticks(range(len(servers)), servers, fontsize=7.5)
        axes.set_ylim(0, max(h["bytes_per_item"] for h in row["servers"].values()) * 1.15)
        axes.tick_params(axis="y", labelsize=7.5)
        _plain(axes)
    all_axes[0].set_ylabel("resident bytes an item")
    return Picture("item-size", "Memory an item",
                   f"Resident memory of a full server (-m {memory['memory_mb']}) by the items it "
                   "holds. The dotted line: bytes of key and value alone.", _png(figure))


# ---- Parts


def _waited(points: list[dict]) -> str:
    """A warning where the load generator's own delays are what the picture shows."""
    shares = [f["load_delayed_share"] for point in points for runs in point["rounds"].values()
              for f in runs]
    return ("" if median(shares) <= 0.05 else
            f" Beware: the load generator itself was kept waiting {median(shares):.0%} of the time "
            "by other work, and its delays are in these latencies.")


def _label(name: str) -> str:
    return next(text for short, _, text in PERCENTILES if short == name) + (
        "" if name == "p50" else " are faster")


def _known(point: dict, server: str, name: str) -> list[float]:
    return [f[name] for f in point["rounds"][server] if f.get(name) is not None]


def _line(axes, xs: list[float], rounds: list[list[float]], server: str,
          servers: list[str]) -> None:
    ink = colour(server, servers)
    axes.plot(xs, [median(values) for values in rounds], "o-", color=ink, label=server,
              markersize=4.5)
    axes.fill_between(xs, [min(values) for values in rounds], [max(values) for values in rounds],
                      color=ink, alpha=0.15, linewidth=0)


def _microseconds(all_axes) -> None:
    """Of panels that share their axis, once all is drawn: whole powers of ten at the edges, in the
    unit that reads best."""
    low, high = all_axes[0].get_ylim()
    all_axes[0].set_ylim(10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high)))
    for axes in all_axes:
        axes.yaxis.set_major_formatter(FuncFormatter(
            lambda us, _: f"{us:g} us" if us < 1e3 else f"{us / 1e3:g} ms" if us < 1e6 else
            f"{us / 1e6:g} s"))
        axes.tick_params(axis="y", labelsize=8)


def _plain(axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=DPI)
    return out.getvalue()

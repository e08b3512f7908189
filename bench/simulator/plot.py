#!/usr/bin/env python3
"""Draws what the simulator prints: miss ratio over cache size, a panel for each trace.

    simulator --mib=8,16,32,64,128 FILE... | bench/simulator/plot.py OUT.png

Needs matplotlib (Debian: python3-matplotlib)."""

import sys

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402


def main():
    header, *rows = (line.rstrip("\n").split("\t") for line in sys.stdin)
    policies = header[2:]
    traces = {}
    for name, mib, *ratios in rows:
        traces.setdefault(name, []).append((float(mib), [float(r) for r in ratios]))
    figure, panels = pyplot.subplots(1, len(traces), figsize=(6 * len(traces), 5), squeeze=False)
    for panel, (name, points) in zip(panels[0], traces.items()):
        points.sort()
        sizes = [mib for mib, _ in points]
        for i, policy in enumerate(policies):
            wide = policy.startswith("torc")
            panel.plot(sizes, [ratios[i] for _, ratios in points], marker="o", label=policy,
                       linewidth=2.5 if wide else 1, linestyle=":" if policy == "optimum" else "-")
        panel.set(title=name, xlabel="MiB", ylabel="miss ratio", xscale="log")
        panel.set_xticks(sizes, [f"{mib:g}" for mib in sizes])
        panel.legend()
    figure.tight_layout()
    figure.savefig(sys.argv[1])


if __name__ == "__main__":
    main()

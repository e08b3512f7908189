"""Figures and tables on a terminal."""

import sys
from statistics import median


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}"


def spread(values: list[float], form=number) -> str:
    return f"{form(median(values))} ({form(min(values))}-{form(max(values))})"


def table(head: list[str], rows: list[list[object]]) -> None:
    cells = [head] + [[form(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    for row in cells:
        line = "  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                         for i, (cell, width) in enumerate(zip(row, widths)))
        print("  " + line.rstrip())
    sys.stdout.flush()


def form(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.1f}" if abs(
            value) >= 10 else f"{value:.3f}"
    return str(value)

"""A row's figures as text."""

from statistics import median

from .measure import Sample
from .rounds import is_full, judged, pairs_of
from .text import form, spread
from .workloads import Row

# Above this share of the time kept waiting by others, a run says more about them.
DISTURBED_SHARE = 0.05
# Above this share of the core, a server's threads beside the one that serves are worth a note.
SIBLINGS_SHARE = 0.05


def middle(samples: list[Sample], name: str) -> float | None:
    """The median of the rounds that know it."""
    known = [value for sample in samples if (value := sample.get(name)) is not None]
    return median(known) if known else None


def per_key(samples: list[Sample], name: str) -> float:
    return middle(samples, name) / samples[0].row.keys_per_request


def notes_on(samples: list[Sample], threads: int) -> list[str]:
    notes = []
    if not is_full(samples, threads):
        notes.append("core not full: compare CPU")
    disturbance = max(middle(samples, "server_delayed_share"),
                      middle(samples, "load_delayed_share"))
    if disturbance > DISTURBED_SHARE:
        notes.append(f"kept waiting {disturbance:.0%} of the time by other work")
    refused = sum(sample.get("refused") or 0 for sample in samples)
    if refused:
        stores = sum(sample["sets"] for sample in samples)
        notes.append(f"{refused:,} of {stores:,} stores refused for want of memory")
    siblings = middle(samples, "server_siblings_share") or 0
    if siblings > SIBLINGS_SHARE:
        notes.append(f"{siblings:.0%} of the core for other threads of its own")
    return notes


def show_row(row: Row, samples: dict[str, list[Sample]], threads: int = 1) -> None:
    hits = "" if not row.misses else f" {'hits':>7}"
    print(f"\n{row.title}  [{row.name}]")
    print(f"  {'':12} {row.unit:>24} {'CPU us':>7} {'user':>6} {'system':>6} {'calls':>6} "
          f"{'switch':>6} {'core':>5} {'load':>5} {'p50 us':>7} {'p99':>7} {'p99.9':>7} "
          f"{'max':>8} {'MB':>6}{hits}")
    for name, rounds in samples.items():
        notes = notes_on(rounds, threads)
        found = "" if not row.misses else f" {middle(rounds, 'hit_ratio'):7.4f}"
        print(f"  {name:12} {spread([sample.rate for sample in rounds]):>24} "
              f"{per_key(rounds, 'server_cpu_us'):7.3f} "
              f"{per_key(rounds, 'server_cpu_us_user'):6.3f} "
              f"{per_key(rounds, 'server_cpu_us_system'):6.3f} "
              f"{form(middle(rounds, 'system_calls')):>6} "
              f"{form(middle(rounds, 'server_switches_per_request')):>6} "
              f"{middle(rounds, 'server_cpu_share'):5.0%} {middle(rounds, 'load_cpu_share'):5.0%} "
              f"{middle(rounds, 'latency_us_p50'):7.0f} {middle(rounds, 'latency_us_p99'):7.0f} "
              f"{middle(rounds, 'latency_us_p999'):7.0f} "
              f"{max(s['latency_us_max'] for s in rounds):8.0f} "
              f"{middle(rounds, 'server_resident_bytes') / 2**20:6.0f}{found}"
              f"{'  ' + '; '.join(notes) if notes else ''}")
    for first, other in pairs_of(list(samples)):
        for what, (ratio, verdict) in judged(samples, first, other, threads).items():
            print(f"  {first + ' / ' + other:22} by {what:10} {str(ratio):24} {verdict}")
    print(f"  load {' '.join((*row.load, *row.sizes))} --keys {row.keys} --connections "
          f"{row.connections}", flush=True)

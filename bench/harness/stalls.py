"""How often this machine takes its cores away from a program that wants nothing but to run.

On a virtual machine, or beside a neighbour, a core stops for some milliseconds now and then. A
latency above the share of the time that is lost so is the machine's, whichever server is measured:
in five seconds one stop of 7 ms is 0.14 % of the time, and so the p99.9 of every server. The
kernel does not always know of it (`steal`), so a loop on each core looks at the clock.
"""

import json
import subprocess
import sys

SECONDS = 1.0
STALL_NS_MIN = 100_000  # what the loop and the kernel's own interrupts do is far below

LOOP = """
import gc, json, os, sys, time
core, seconds, least = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
os.sched_setaffinity(0, {core})
gc.disable()
clock = time.perf_counter_ns
stalls = []
now = clock()
end = now + int(seconds * 1e9)
while now < end:
    last, now = now, clock()
    if now - last >= least:
        stalls.append(now - last)
print(json.dumps([max(stalls, default=0), sum(stalls)]))
"""


def measure(cores: list[int], seconds: float = SECONDS) -> dict:
    """Of all cores at the same time: the longest stall, and the share of the time that all took."""
    loops = [subprocess.Popen([sys.executable, "-c", LOOP, str(core), str(seconds),
                               str(STALL_NS_MIN)], stdout=subprocess.PIPE, text=True)
             for core in cores]
    said = [json.loads(loop.communicate(timeout=60)[0] or "[0, 0]") for loop in loops]
    return {"seconds": seconds, "longest_us": max(longest for longest, _ in said) / 1e3,
            "share": max(total for _, total in said) / 1e9 / seconds}


def show(stalls: dict) -> str:
    if stalls["longest_us"] == 0:
        return f"none above 0.1 ms in {stalls['seconds']:g} s"
    return (f"the longest {stalls['longest_us'] / 1e3:.1f} ms, {stalls['share']:.2%} of "
            f"{stalls['seconds']:g} s: latencies of fewer requests than that are the machine's")

"""What the figures were taken on."""

import os
import platform
import time
from pathlib import Path

from . import stalls
from .measure import Bench
from .process import SystemCalls
from .servers import Server, serving, version_of
from .workloads import BASIC


def describe(bench: Bench, servers: list[Server]) -> dict:
    versions = {}
    commands = {}
    for server in servers:
        with serving(server, bench.cores.server, BASIC[0].memory_mb, bench.threads) as running:
            versions[server.name] = version_of(server, running)
            words = [word if word != str(running.port) else "PORT" for word in running.command]
            commands[server.name] = " ".join(words)
    return {
        "taken": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load_average": os.getloadavg()[0],
        "kernel": platform.release(),
        "congestion": _read("/proc/sys/net/ipv4/tcp_congestion_control"),
        "mitigations": _mitigations(),
        "stalls": stalls.measure(bench.cores.used, 0.05 if bench.tiny else stalls.SECONDS),
        "server_cores": bench.cores.server,
        "load_core": bench.cores.load,
        "threads": bench.threads,
        "seconds": bench.seconds,
        "warmup": bench.warmup,
        "rounds": bench.rounds,
        "system_calls_by": (bench.system_calls or SystemCalls()).method,
        "versions": versions,
        "commands": commands,
    }


def show(machine: dict) -> None:
    print(f"machine: {machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB, "
          f"load average {machine['load_average']:.2f}")
    print(f"kernel: {machine['kernel']}, TCP over loopback, {machine['congestion']}")
    print(f"servers on core {machine['server_cores']}, threads: {machine['threads']}; load on core "
          f"{machine['load_core']}; {machine['rounds']} rounds of {machine['seconds']:g} s after "
          f"{machine['warmup']:g} s; system calls by {machine['system_calls_by'] or 'nothing'}")
    print(f"cores taken away while nothing else runs: {stalls.show(machine['stalls'])}")
    for name, version in machine["versions"].items():
        print(f"{name}: {version}\n  {machine['commands'][name]}")


def _processor() -> str:
    for line in _read("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _mitigations() -> list[str]:
    """Of the processor's flaws those that the kernel works around: they make system calls dear."""
    folder = Path("/sys/devices/system/cpu/vulnerabilities")
    return sorted(path.name for path in folder.glob("*")
                  if _read(str(path)).startswith("Mitigation"))


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""

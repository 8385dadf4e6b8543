"""The machine, the commit and the versions that a record belongs to."""

import os
import platform
import re
import subprocess
from pathlib import Path


def output(*command: str, cwd: Path) -> str:
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()


def field(path: str, name: str) -> str:
    """The first `name : value` of a file of `/proc`."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return "unknown"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "unknown")


def vectors() -> str:
    """The widest vectors of the processor, by which its speed differs more than by its name."""
    flags = field("/proc/cpuinfo", "flags").split()
    widest = (name for name, flag in (("AVX-512", "avx512f"), ("AVX2", "avx2")) if flag in flags)
    return next(widest, platform.machine())


def describe(repository: Path) -> dict[str, str]:
    """What the head of a record says."""
    # A page that is kept but not committed yet does not matter.
    changes = output("git", "status", "--porcelain", "--", ".", ":!benches/record", cwd=repository)
    kibibytes = field("/proc/meminfo", "MemTotal").split()[0]
    return {
        "processor": field("/proc/cpuinfo", "model name"),
        "family, model": ", ".join(field("/proc/cpuinfo", name) for name in ("cpu family", "model\t")),
        "vectors": vectors(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{int(kibibytes) / 2**20:.0f} GiB" if kibibytes.isdigit() else "unknown",
        "kernel": f"{platform.system()} {platform.release()}",
        "rustc": output("rustc", "--version", cwd=repository),
        "python": platform.python_version(),
        "commit": output("git", "rev-parse", "HEAD", cwd=repository) + (" with uncommitted changes" if changes else ""),
    }


def load() -> str:
    """The load average of the last minute: other work shows here."""
    return f"{os.getloadavg()[0]:.2f}"


def times() -> list[int]:
    """What all cores did since the machine was started, in ticks: user, nice, system, idle, iowait, irq, softirq, steal."""
    return [int(ticks) for ticks in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]


def stolen(before: list[int], after: list[int]) -> str:
    """What the host gave to others of the time in which this machine wanted to compute. No load average shows it."""
    user, nice, system, _, _, irq, softirq, steal = (y - x for x, y in zip(before, after))
    wanted = user + nice + system + irq + softirq + steal
    return f"{100 * steal / max(wanted, 1):.1f} % of the time that was wanted"


def slug(head: dict[str, str]) -> str:
    """The processor as part of a file's name: `amd-epyc-25-1-avx2`, with family and model, which alone tell generations of
    one name apart."""
    words = f"{head['processor']} {head['family, model']} {head['vectors']}"
    words = re.sub(r"\((R|TM)\)|\b(CPU|Processor)\b", " ", words, flags=re.IGNORECASE)
    return re.sub(r"[^a-z0-9.]+", "-", words.lower()).strip("-")

"""Memory of this process, as Linux tells it."""

from pathlib import Path


def resident_megabytes() -> float:
    """What it holds now."""
    return _status("VmRSS")


def peak_megabytes() -> float:
    """The most it has held since `forget_peak`."""
    return _status("VmHWM")


def forget_peak() -> None:
    """Let `peak_megabytes` begin from what is held now."""
    Path("/proc/self/clear_refs").write_text("5")


def _status(key: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) / 1024
    raise OSError(f"this system does not tell a process's {key}")

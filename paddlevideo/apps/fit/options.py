"""What a user asks of a fit."""

from dataclasses import dataclass, field
from pathlib import Path

from paddlevideo.utils.cpu_threads import available_cores
from paddlevideo.utils.errors import ConfigError, shown

DEFAULT_MODEL = "movinet_a0_stream"
DEFAULT_MINUTES = 10.0
NO_WEIGHTS = "none"
_MOST_PROCESSES = 2  # more gain little on the cores of one machine's memory


@dataclass(frozen=True)
class FitOptions:
    """Options of ``paddlevideo fit``.

    Attributes:
        videos: folder or CSV, see `paddlevideo.apps.own_videos.read_videos`.
        output: the run's folder.
        weights: name, file or ``none``; None: the model's released ones where they can be had.
        model: a registered name.
        minutes: for everything.
        epochs: fixed number; None: what the time allows.
        val_share: of each class for validation, where the videos are not split.
        group: regular expression whose first group names the recording of a path.
        seed: of split and training.
        device: as in a config.
        processes: that train together; None: as many as pay on this machine.
    """

    videos: Path
    output: Path
    weights: str | None = None
    model: str = DEFAULT_MODEL
    minutes: float = DEFAULT_MINUTES
    epochs: int | None = None
    val_share: float = 0.2
    group: str | None = None
    seed: int = 0
    device: str = "auto"
    processes: int | None = None
    cores: int = field(default_factory=available_cores)

    def __post_init__(self) -> None:
        ranges = {
            "minutes": (self.minutes, 0.2, 60.0 * 24 * 7),
            "val": (self.val_share, 0.02, 0.8),
            "epochs": (self.epochs or 1, 1, 10_000),
            "processes": (self.processes or 1, 1, 64),
            "seed": (self.seed, 0, 2**63 - 1),
        }
        for name, (value, least, most) in ranges.items():
            if not least <= value <= most:
                raise ConfigError(f"--{name} {shown(value)}: expected {least:g} to {most:g}")

    def num_processes(self, on_cpu: bool) -> int:
        """Processes that train together."""
        if self.processes is not None:
            return self.processes
        return min(_MOST_PROCESSES, self.cores) if on_cpu else 1

    def as_dict(self) -> dict[str, object]:
        """What a second call must not change, for the record of a run."""
        return {
            "videos": str(self.videos.resolve()),
            "weights": self.weights,
            "model": self.model,
            "epochs": self.epochs,
            "val_share": self.val_share,
            "group": self.group,
            "seed": self.seed,
        }

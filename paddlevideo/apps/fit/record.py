"""``fit.json``: what a fit was asked for and how far it came, so that a second call goes on."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from paddlevideo.utils.errors import ConfigError, shown
from paddlevideo.utils.files import write_json
from paddlevideo.utils.nodes import Node
from paddlevideo.utils.text_files import read_json

RECORD = "fit.json"
CHECKED, PLANNED, TRAINED, DONE = "checked", "planned", "trained", "done"
_ORDER = (CHECKED, PLANNED, TRAINED, DONE)


@dataclass
class FitRecord:
    """The record of a run.

    Attributes:
        folder: of the run.
        asked: `FitOptions.as_dict`.
        reached: the last phase that is done; empty: none.
        facts: what later phases and a second call need.
    """

    folder: Path
    asked: Node
    reached: str = ""
    facts: Node = field(default_factory=dict)

    def has(self, phase: str) -> bool:
        """Whether a phase is done."""
        return self.reached in _ORDER and _ORDER.index(self.reached) >= _ORDER.index(phase)

    def reach(self, phase: str, **facts: object) -> None:
        """Note that a phase is done, with what it found."""
        self.reached = phase
        self.facts |= facts
        written = {"asked": self.asked, "reached": self.reached, "facts": self.facts}
        write_json(self.folder / RECORD, written)


def open_record(folder: Path, asked: Node) -> FitRecord:
    """Begin a run in ``folder``, or go on with the one that lies there.

    Raises:
        ConfigError: the folder holds a run that was asked for something else, or no fit at all.
    """
    path = folder / RECORD
    asked = json.loads(json.dumps(asked))
    if not path.exists():
        if folder.is_dir() and any(folder.iterdir()):
            raise ConfigError(f"{folder} is not empty and holds no fit; give another --output")
        folder.mkdir(parents=True, exist_ok=True)
        record = FitRecord(folder, asked)
        record.reach("")  # so that the folder is a fit's, whatever ends it
        return record
    found = read_json(path, f"the record {path}")
    if not isinstance(found, dict) or not isinstance(found.get("asked"), dict):
        raise ConfigError(f"{path} is not the record of a fit; give another --output")
    differing = [key for key in asked if found["asked"].get(key) != asked[key]]
    if differing:
        key = differing[0]
        raise ConfigError(
            f"{folder} holds a fit with another {key} ({shown(found['asked'].get(key))}, now "
            f"{shown(asked[key])}); give another --output, or remove the folder"
        )
    facts = found.get("facts")
    reached = str(found.get("reached", ""))
    return FitRecord(folder, asked, reached, facts if isinstance(facts, dict) else {})

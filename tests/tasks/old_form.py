"""Write the checkpoints of earlier versions, from a state of this one."""

import json
import shutil
from pathlib import Path

from paddlevideo.utils.files import sha256_of
from paddlevideo.weights import read_weights, write_weights


def as_old(state: Path, epoch: int, flat: bool = False) -> Path:
    """Put a state into the form before states were named by step; return its folder.

    Args:
        state: the folder ``<name>_step_N.state``, which is replaced.
        epoch: that the old form is named by.
        flat: as before there were parts.
    """
    name = state.name.rpartition("_step_")[0]
    folder = state.with_name(f"{name}_epoch_{epoch:05d}.state")
    parts = json.loads((state / "state.json").read_text())["parts"]
    for part, values in parts.items():
        if part == "run":
            parts[part] = {key: values[key] for key in ("seed", "freeze") if key in values}
        values.pop("validation_pending", None)
    parts.pop("statistics", None)
    weights = folder.with_suffix(".pdparams")
    write_weights(weights, read_weights(state / "model.safetensors"))
    content: dict = {"epoch": epoch, "parts": parts}
    if flat:
        position, run = parts["position"], parts["run"]
        content = {
            "epoch": epoch, "optimizer": parts["optimizer"]["kind"], "best": parts["best"],
            "next_step": position["step"], "iterations": position["iterations"], **run,
        }  # fmt: skip
    folder.mkdir()
    for file in state.glob("*.safetensors"):
        if file.stem != "model":
            shutil.copyfile(file, folder / file.name)
    (folder / "state.json").write_text(json.dumps(content))
    shutil.rmtree(state)
    paths = [weights, *(path for path in folder.iterdir())]
    manifest = {p.name: {"size": p.stat().st_size, "sha256": sha256_of(p)} for p in paths}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder

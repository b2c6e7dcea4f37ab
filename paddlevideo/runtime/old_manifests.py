"""Manifests of the formats 1 to 3 in today's words.

They had a field for each file: ``program``, ``params`` and ``onnx`` of the clip program, and the
same under ``step``. Format 1 had clip programs only, format 2 always Paddle's.
"""

from collections.abc import Mapping

from paddlevideo.runtime.manifest import FORMAT_VERSION
from paddlevideo.utils.errors import BundleError, shown
from paddlevideo.utils.nodes import Node, ReadNode

_FILES = ("program", "params", "onnx")
_MOVED = (*_FILES, "mode", "step", "precision", "inputs", "outputs")


def translated(old: ReadNode, where: str) -> Node:
    """Return the content of a manifest of format 1 to 3 as one of today's format.

    Types are not checked here, only what would be lost.

    Raises:
        BundleError: a program without its weights, or a ``step`` that is no mapping.
    """
    step = old.get("step")
    if step is not None and not isinstance(step, Mapping):
        raise BundleError(f"{where}: step: expected a mapping, got {shown(step)}")
    clip = {key: old[key] for key in ("inputs", "outputs") if key in old}
    found = [(clip, "clip", _files(old, where))]
    if step is not None:
        plain = {key: value for key, value in step.items() if key not in _FILES}
        found.append((plain, "step", _files(step, f"{where}: step")))
    precision = old.get("precision", "fp32")
    return {
        **{key: value for key, value in old.items() if key not in _MOVED},
        "format_version": FORMAT_VERSION,
        "programs": [
            {**entry, "kind": kind, "files": files, "precision": precision}
            for entry, kind, files in found
            if files
        ],
    }


def _files(entry: ReadNode, where: str) -> dict[str, list[object]]:
    program, params, onnx = (entry.get(name) for name in _FILES)
    if (program is None) != (params is None):
        raise BundleError(f"{where}: program and params belong together; export the model again")
    files: dict[str, list[object]] = {"paddle": [program, params], "onnx": [onnx]}
    return {name: given for name, given in files.items() if given[0] is not None}

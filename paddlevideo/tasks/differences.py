"""What differs between the run that saved a state and the one that goes on from it.

Every difference is told. Those that change what is computed are refused, unless asked for; harmless
are those of the table below alone.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from paddlevideo.loader import ClipDataset
from paddlevideo.tasks.recipe import Recipe
from paddlevideo.utils.errors import shown

# Keys whose change leaves the steps of training as they are; a key stands for all below it.
HARMLESS = frozenset({
    "DATASET.class_names", "DATASET.max_bad_share", "DATASET.num_workers",
    "DATASET.on_unreadable", "DATASET.worker_timeout", "DATASET.worker_warn_seconds",
    "DATASET.shuffle_valid", "DATASET.test", "DATASET.test_batch_size", "DATASET.test_num_workers",
    "DATASET.valid", "DATASET.valid_batch_size", "DATASET.valid_num_workers",
    "INFERENCE", "PIPELINE.test", "PIPELINE.valid", "TEST",
    "epochs", "imports", "keep_states", "log_interval", "log_level", "model_name", "num_threads",
    "output_dir", "patience", "save_every", "save_interval", "val_interval", "weights",
})  # fmt: skip
# Where the training samples lie: which they are is compared by their own digest.
_PLACES = frozenset({
    "DATASET.train.file_path", "DATASET.train.data_prefix", "DATASET.train.root",
})  # fmt: skip
# How the start was asked for, which is no part of what is trained.
HOW_TO_START = ("resume", "resume_epoch", "resume_anyway", "overwrite")


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was.

    Attributes:
        text: ``"seed: 0 in the state, 1 now"``.
        is_harmless: whether training computes the same with it.
    """

    text: str
    is_harmless: bool


def config_of(recipe: Recipe) -> dict[str, JsonValue]:
    """The resolved config by dotted keys, one for each value that is no mapping."""
    content = recipe.model_dump(mode="json", exclude=set(HOW_TO_START))
    return dict(_flat(content))


def samples_digest(dataset: ClipDataset) -> str:
    """SHA-256 of the samples' paths and labels, wherever the folder of all of them lies."""
    paths = [os.path.abspath(record.path) for record in dataset.records]  # noqa: PTH100 - 10^6 files
    # What the first and the last in order have in common, all between them have.
    folder = os.path.commonpath([str(Path(path).parent) for path in (min(paths), max(paths))])
    digest = hashlib.sha256()
    for path, record in zip(paths, dataset.records, strict=True):
        text = f"{path[len(folder) :]}\0{record.label}\n"
        digest.update(text.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def config_differences(
    old: Mapping[str, JsonValue], new: Mapping[str, JsonValue]
) -> list[Difference]:
    """The keys whose values differ; one that is missing equals one that is off."""
    found = []
    for key in sorted({*old, *new}):
        before, now = old.get(key), new.get(key)
        if before == now or (not before and not now and (key not in old or key not in new)):
            continue
        text = f"{key}: {_told(key, old)} in the state, {_told(key, new)} now"
        found.append(Difference(text, _is_within(key, HARMLESS | _PLACES)))
    return found


def _flat(content: JsonValue, prefix: str = "") -> Iterator[tuple[str, JsonValue]]:
    if isinstance(content, dict) and content:
        for key, value in content.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(content, list) and content:
        for number, value in enumerate(content):
            yield from _flat(value, f"{prefix}[{number}]")
    else:
        yield prefix, content


def _told(key: str, values: Mapping[str, JsonValue]) -> str:
    return shown(values[key]) if key in values else "not given"


def _is_within(key: str, keys: frozenset[str]) -> bool:
    return any(key == each or key.startswith((f"{each}.", f"{each}[")) for each in keys)


def listed(differences: Sequence[Difference]) -> str:
    """The texts of differences, for a message."""
    return "; ".join(difference.text for difference in differences)

"""HMDB51: a file ``<class>_test_split<fold>.txt`` for each class; lines ``name.avi 0|1|2``.

1 is training, 2 is testing (the validation split here), 0 is not used in this fold.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from paddlevideo.apps.prepare.annotations import (
    TRAIN,
    VAL,
    Annotated,
    Annotations,
    annotation_text,
    files_named,
    sorted_names,
)
from paddlevideo.utils.errors import DataError, shown

_SPLITS = {"1": TRAIN, "2": VAL}


def read_hmdb51(paths: Sequence[Path], fold: int) -> Annotations:
    """Read one fold.

    Raises:
        DataError: no file of the fold, or a line of another form.
    """
    ending = f"_test_split{fold}"
    pattern = f"*{ending}.txt"
    files = files_named(paths, pattern, f"<class>{ending}.txt for each class")
    samples: list[Annotated] = []
    for path in files:
        if not path.stem.endswith(ending):
            raise DataError(
                f"--annotations: {path}: expected a name such as brush_hair{ending}.txt"
            )
        label = path.stem.removesuffix(ending)
        for number, line in enumerate(annotation_text(path).splitlines(), start=1):
            if not line.strip():
                continue
            name, _, use = line.strip().rpartition(" ")
            if use not in ("0", "1", "2") or not name:
                raise DataError(
                    f'{path}:{number}: expected "name.avi" and 0, 1 or 2, got {shown(line)}'
                )
            if use in _SPLITS:
                stem = PurePosixPath(name.strip()).stem
                where = f"{path}:{number}"
                samples.append(Annotated((stem,), label, _SPLITS[use], where, (label,)))
    return Annotations(sorted_names(samples), samples)

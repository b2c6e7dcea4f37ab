"""UCF101: ``classInd.txt``, ``trainlist01.txt`` and ``testlist01.txt`` (three folds).

The published test list is the validation split here: there is no third one.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from paddlevideo.apps.prepare.annotations import (
    TRAIN,
    VAL,
    Annotated,
    Annotations,
    annotation_text,
    files_named,
)
from paddlevideo.utils.errors import DataError, shown


def read_ucf101(paths: Sequence[Path], fold: int) -> Annotations:
    """Read one fold.

    Raises:
        DataError: a file is missing or of another form.
    """
    class_names = _class_names(files_named(paths, "classInd.txt", "classInd.txt")[0])
    samples: list[Annotated] = []
    for split, stem in ((TRAIN, "trainlist"), (VAL, "testlist")):
        name = f"{stem}{fold:02d}.txt"
        files = [path for path in files_named(paths, name, name) if path.name == name]
        if not files:
            raise DataError(f"--annotations: there is no {name}")
        samples += _samples(files[0], split, class_names)
    return Annotations(class_names, samples)


def _class_names(path: Path) -> list[str]:
    if path.name != "classInd.txt":
        raise DataError(f"--annotations: {path}: expected the folder with classInd.txt")
    names: dict[int, str] = {}
    for number, line in enumerate(annotation_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        index, _, name = line.strip().partition(" ")
        if not index.isdecimal() or not name.strip():
            raise DataError(f'{path}:{number}: expected "number name", got {shown(line)}')
        names[int(index)] = name.strip()
    if sorted(names) != list(range(1, len(names) + 1)):
        raise DataError(f"{path}: classes must be numbered from 1 without a gap")
    return [names[number] for number in sorted(names)]


def _samples(path: Path, split: str, class_names: Sequence[str]) -> Iterator[Annotated]:
    known = set(class_names)
    for number, line in enumerate(annotation_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        file = PurePosixPath(line.split()[0])
        label = file.parent.name
        if label not in known:
            raise DataError(f"{where}: classInd.txt has no class {shown(label)}")
        yield Annotated((file.stem,), label, split, where, (label,))

"""`FolderDataset`: a folder of class folders, no list file."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from paddlevideo.loader.dataset.base import DATASETS, ClipDataset, ReadingContext
from paddlevideo.loader.dataset.class_folders import (
    check_named,
    check_same_numbers,
    class_folders_of,
    class_names_of,
    stated_class_names,
)
from paddlevideo.utils.errors import DataError
from paddlevideo.utils.nodes import ReadNode
from paddlevideo.video.sample import Record
from paddlevideo.video.video_files import VIDEO_EXTENSIONS, files_under, is_hidden

logger = logging.getLogger(__name__)


@DATASETS.register
class FolderDataset(ClipDataset):
    """Videos laid out as ``root/<class>/.../<video>``; the label is the class's number.

    Classes are numbered as the context says: with the names of the training data, for every split.
    Where it says nothing, in the order of ``classes.txt`` (one name per line) in ``root`` or, so
    that train and val folders agree, in the folder above; without it, the sorted folder names.
    Names that start with a dot and ``__MACOSX`` are left out; links are followed.

    Args:
        root: the folder.
        extensions: which files are videos; by default the usual ones. Others are left out, with a
            warning.
        num_retries: in training, how many others are tried in place of an unreadable video,
            at most; by default all, up to 1000.

    Raises:
        DataError: no such folder, no videos, a class folder that is no known class, or a
            ``classes.txt`` that numbers the classes in another way.
    """

    @classmethod
    def class_folders(cls, node: ReadNode) -> Path | None:
        """The root."""
        return Path(node["root"])

    def __init__(
        self,
        root: str,
        context: ReadingContext,
        extensions: list[str] | None = None,
        num_retries: int | None = None,
    ) -> None:
        folder = Path(root)
        folders = class_folders_of(folder)
        if context.class_names is None:
            self.class_names = class_names_of(folder)
        else:
            self.class_names = list(context.class_names)
            check_named(folders, self.class_names, folder, context.class_names_source)
            stated = stated_class_names(folder)
            if stated is not None:
                source = context.class_names_source
                check_same_numbers(stated[0], str(stated[1]), self.class_names, source)
        wanted = VIDEO_EXTENSIONS if extensions is None else extensions
        dotted = {f".{extension.lower().lstrip('.')}" for extension in wanted}
        records = find_records(folder, folders, self.class_names, dotted)
        super().__init__(records, root, context, num_retries)


def find_records(
    root: Path,
    folders: Mapping[str, Sequence[Path]],
    class_names: Sequence[str],
    extensions: set[str],
) -> list[Record]:
    """Return the videos in class folders; what is left out is warned of.

    Args:
        root: the folder of class folders.
        folders: class folders by the names of the classes.
        class_names: in label order.
        extensions: of videos, each with its dot.

    Raises:
        DataError: a folder cannot be read, or there are no videos.
    """
    records = []
    left_out: Counter[str] = Counter()
    for label, name in enumerate(class_names):
        for folder in folders.get(name, ()):
            for file in files_under(folder):
                if file.suffix.lower() in extensions:
                    records.append(Record(str(file), label, str(folder)))
                else:
                    left_out[file.suffix or "no extension"] += 1
    if left_out:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(left_out.items()))
        logger.warning("%s: files that are not taken for videos are left out: %s", root, kinds)
    stray = sum(
        path.suffix.lower() in extensions and not is_hidden(path.name) and path.is_file()
        for path in root.iterdir()
    )
    if stray:
        logger.warning("%s: %d videos lie in no class folder and are left out", root, stray)
    if not records:
        raise DataError(f"{root}: holds no videos ({', '.join(sorted(extensions))})")
    _warn_of_missing(root, class_names, {record.label for record in records})
    return records


def _warn_of_missing(root: Path, class_names: Sequence[str], labels: set[int]) -> None:
    missing = [name for label, name in enumerate(class_names) if label not in labels]
    if missing:
        logger.warning(
            "%s: no videos of %d of %d classes: %s%s",
            root,
            len(missing),
            len(class_names),
            ", ".join(name[:100] for name in missing[:8]),
            " ..." if len(missing) > 8 else "",
        )

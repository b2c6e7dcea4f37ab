"""Which file is the video of a sample: found by name, wherever below the folder it lies."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from paddlevideo.apps.prepare.annotations import Annotated
from paddlevideo.utils.errors import DataError
from paddlevideo.video.video_files import VIDEO_EXTENSIONS, files_under

_EXTENSIONS = {f".{extension}" for extension in VIDEO_EXTENSIONS}


class FoundVideos:
    """The video files below a folder, by their name without the extension.

    Args:
        folder: subfolders are searched, links followed.

    Raises:
        DataError: there is no such folder, or no video in it.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise DataError(f"--videos: {folder}: no such folder")
        self.folder = folder
        self._by_stem: dict[str, list[Path]] = defaultdict(list)
        for path in files_under(folder):
            if path.suffix.lower() in _EXTENSIONS:
                self._by_stem[path.stem].append(path)
        if not self._by_stem:
            raise DataError(f"--videos: {folder}: holds no videos")

    def __len__(self) -> int:
        return sum(map(len, self._by_stem.values()))

    def of(self, sample: Annotated) -> Path | None:
        """The file of a sample; of several, that in whose path most of its hints are folders."""
        for name in sample.names:
            files = self._by_stem.get(name)
            if files:
                return max(files, key=lambda path: _num_hints(path, sample.hints))
        return None


def _num_hints(path: Path, hints: Sequence[str]) -> int:
    folders = set(path.parts[:-1])
    return sum(hint in folders for hint in hints)

"""`read_videos`: the three forms in which a user's videos may come."""

from pathlib import Path

from paddlevideo.apps.own_videos.read_csv import read_csv
from paddlevideo.apps.own_videos.read_folder import read_folder
from paddlevideo.apps.own_videos.records import OwnVideos, check_classes
from paddlevideo.utils.errors import DataError


def read_videos(path: str | Path) -> OwnVideos:
    """List the videos of a user; no video is opened.

    Args:
        path: a folder of class folders; a folder with ``train/``, ``val/`` (also ``valid``,
            ``validation``) and perhaps ``test/`` of class folders; or a CSV file with the columns
            ``path,label[,split][,group]``, whose relative paths are relative to its folder. Hidden
            names and ``__MACOSX`` are left out, links are followed.

    Raises:
        DataError: there is no such path, it has none of these forms, or its videos are of fewer
            than two classes. The message names the file, the line and what to do.
    """
    root = Path(path)
    if root.is_dir():
        records, notes = read_folder(root)
    elif not root.exists():
        raise DataError(
            f"{path}: no such folder or file; expected a folder of class folders, or a CSV file"
        )
    elif root.suffix.lower() in (".csv", ".txt", ".tsv"):
        records, notes = read_csv(root)
    else:
        raise DataError(
            f"{path}: is neither a folder nor a .csv file; expected a folder of class folders "
            "(VIDEOS/<class>/<video>), or a CSV with the columns path,label"
        )
    return OwnVideos(root, tuple(records), check_classes(root, records), tuple(notes))

"""`VideoDataset`: a list of video files."""

from paddlevideo.loader.dataset.base import DATASETS, ClipDataset, ReadingContext
from paddlevideo.loader.dataset.list_files import read_list


@DATASETS.register
class VideoDataset(ClipDataset):
    """Videos from a list file with lines ``path label`` (PaddleVideo's format).

    Args:
        file_path: the list file.
        data_prefix: folder put in front of every path.
        suffix: text put behind every path, such as ``.mp4``.
        num_retries: in training, how many others are tried in place of an unreadable video,
            at most; by default all, up to 1000.

    Raises:
        DataError: the list cannot be read or is malformed; names file and line.
    """

    def __init__(
        self,
        file_path: str,
        context: ReadingContext,
        data_prefix: str | None = None,
        suffix: str = "",
        num_retries: int | None = None,
    ) -> None:
        super().__init__(read_list(file_path, data_prefix, suffix), file_path, context, num_retries)

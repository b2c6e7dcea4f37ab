"""`FrameDataset`: a list of folders of images."""

from paddlevideo.loader.dataset.base import DATASETS, ClipDataset, ReadingContext
from paddlevideo.loader.dataset.list_files import read_list
from paddlevideo.utils.errors import ArgumentError
from paddlevideo.video.decoders.frames import DEFAULT_SUFFIX


@DATASETS.register
class FrameDataset(ClipDataset):
    """Frame folders from a list file with lines ``folder num_frames label`` (PaddleVideo's format).

    Args:
        file_path: the list file.
        data_prefix: folder put in front of every path.
        suffix: name pattern of the images.
        start_index: number of the first image of each folder.
        num_retries: in training, how many others are tried in place of an unreadable folder,
            at most; by default all, up to 1000.

    Raises:
        DataError: the list cannot be read or is malformed; names file and line.
        ArgumentError: ``suffix`` is no pattern for a number.
    """

    kind = "frames"

    def __init__(
        self,
        file_path: str,
        context: ReadingContext,
        data_prefix: str | None = None,
        suffix: str = DEFAULT_SUFFIX,
        num_retries: int | None = None,
        start_index: int = 1,
    ) -> None:
        try:
            differs = suffix.format(1) != suffix.format(2)
        except (IndexError, KeyError, ValueError):
            differs = False
        if not differs:
            raise ArgumentError(
                f'suffix "{suffix}" must hold a place for the number, as img_{{:05}}.jpg'
            )
        if start_index < 0:
            raise ArgumentError(f"start_index is {start_index}, expected 0 or more")
        self.frame_suffix = suffix
        self.frame_start_index = start_index
        records = read_list(file_path, data_prefix, counts_frames=True)
        super().__init__(records, file_path, context, num_retries)

"""What is known of one released file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from paddlevideo.utils.nodes import Node, ReadNode

SourceName = Literal["tf", "paddlevideo", "tflite"]
FileFormat = Literal["tensorflow", "paddlevideo", "tflite"]

_FORMATS: Mapping[SourceName, FileFormat] = {
    "tf": "tensorflow",
    "paddlevideo": "paddlevideo",
    "tflite": "tflite",
}


@dataclass(frozen=True)
class PretrainedEntry:
    """One released file and the network that its weights are of.

    Attributes:
        name: by which users ask for it.
        address: an HTTPS URL, taken from the publisher's page.
        file_name: under which it lies in the cache.
        source: the importer's name (`paddlevideo.convert.import_weights`).
        model: the registered model that it fits.
        options: of `create_model`, with which that model computes what the publisher's does; None:
            they are found in the file when it is converted.
        num_classes: number of logits.
        class_list: whose names the classes have (`class_names`).
        num_frames: frames of the clip that the published accuracy is of.
        frame_rate: frames per second of that clip; None: spread evenly over the video.
        pixels: side of the square that is cut out.
        short_side: what the short side of the video is scaled to before.
        mean, std: of RGB values in [0, 1], subtracted and divided by.
        licence: as the publisher states it.
        page: where the publisher says all this.
        top1, top5: the published accuracy in per cent; None: none is published.
        megabytes: size of the file, as the publisher's page rounds it.
        num_bytes: its exact size, where known.
        sha256: its hash, where known.
        is_proven: we have run this very file; False: everything is taken from the page.
    """

    name: str
    address: str
    file_name: str
    source: SourceName
    model: str
    options: ReadNode | None
    num_classes: int
    class_list: str
    num_frames: int
    frame_rate: float | None
    pixels: int
    short_side: int
    licence: str
    page: str
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    top1: float | None = None
    top5: float | None = None
    megabytes: float | None = None
    num_bytes: int | None = None
    sha256: str | None = None
    is_proven: bool = False

    @property
    def file_format(self) -> FileFormat:
        """``tensorflow`` (a .tar.gz of a checkpoint), ``paddlevideo`` (.pdparams) or ``tflite``."""
        return _FORMATS[self.source]

    @property
    def host(self) -> str:
        """The host of the address, for messages."""
        return urlsplit(self.address).netloc

    @property
    def scaling(self) -> Node:
        """The node ``MODEL.scaling`` that these weights were trained with; empty: the default."""
        if self.mean == (0.0, 0.0, 0.0) and self.std == (1.0, 1.0, 1.0):
            return {}
        return {"mean": list(self.mean), "std": list(self.std)}

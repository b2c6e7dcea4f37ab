"""The table of released weights: one entry for each file, and how an entry is found by its name.

Addresses and accuracies are those of the publishers' pages (docs/pretrained.md); where a file has
been run by us, ``is_proven`` says so.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from paddlevideo.utils.errors import WeightsError, nearest_hint
from paddlevideo.utils.nodes import Node, ReadNode
from paddlevideo.weights.published.entry import PretrainedEntry

_GARDEN = "https://storage.googleapis.com/tf_model_garden/vision/movinet"
_GARDEN_PAGE = "https://github.com/tensorflow/models/tree/master/official/projects/movinet"
_HUB = "https://tfhub.dev/tensorflow/lite-model/movinet"
_PADDLEVIDEO = "https://videotag.bj.bcebos.com/PaddleVideo-release2.3"
_PADDLEVIDEO_PAGE = (
    "https://github.com/PaddlePaddle/PaddleVideo/blob/develop/docs/en/model_zoo/recognition/"
    "movinet.md"
)
_APACHE = "Apache-2.0"


@dataclass(frozen=True)
class _Variant:
    """What one of A0 to A5 is published with; accuracies are top-1 and top-5, in per cent."""

    num_frames: int
    frame_rate: float
    pixels: int
    short_side: int
    megabytes: float
    base_k600: tuple[float, float]
    stream_k600: tuple[float, float]
    base_k400: tuple[float, float]

    @property
    def accuracies(self) -> dict[tuple[str, str], tuple[float, float]]:
        """By kind and data."""
        return {
            ("base", "k600"): self.base_k600,
            ("stream", "k600"): self.stream_k600,
            ("base", "k400"): self.base_k400,
        }

    def clip(self) -> Node:
        return {
            "num_frames": self.num_frames,
            "frame_rate": self.frame_rate,
            "pixels": self.pixels,
            "short_side": self.short_side,
        }


_VARIANTS = {
    "a0": _Variant(50, 5, 172, 192, 12, (72.28, 90.92), (72.05, 90.63), (69.40, 89.18)),
    "a1": _Variant(50, 5, 172, 192, 18, (76.69, 93.40), (76.45, 93.25), (74.57, 92.03)),
    "a2": _Variant(50, 5, 224, 256, 20, (78.62, 94.17), (78.40, 94.05), (75.91, 92.63)),
    "a3": _Variant(120, 12.5, 256, 288, 29, (81.79, 95.67), (80.09, 94.84), (79.34, 94.52)),
    "a4": _Variant(80, 25 / 3, 290, 320, 44, (83.48, 96.16), (81.49, 95.66), (80.64, 94.93)),
    "a5": _Variant(120, 12.5, 320, 368, 72, (84.27, 96.39), (82.37, 95.79), (81.39, 95.06)),
}
_CLASSES = {"k400": ("kinetics_400", 400), "k600": ("kinetics_600", 600)}
_NO_OPTIONS: ReadNode = MappingProxyType({})
_PHONE_OPTIONS: ReadNode = MappingProxyType(
    {"se_type": "none", "activation": "relu6", "classifier_activation": "relu6"}
)
# Last part of TF Hub's address: int8 is at version 1 in the publisher's examples, float16 at 2.
_LITE_VERSIONS = {"int8": 1, "float16": 2}
_LITE_SHORT_NAMES = {"int8": "int8", "float16": "fp16"}


def _garden_entry(variant: str, kind: str, data: str) -> PretrainedEntry:
    """A checkpoint of TensorFlow Model Garden."""
    row = _VARIANTS[variant]
    class_list, num_classes = _CLASSES[data]
    top1, top5 = row.accuracies[kind, data]
    stem = f"movinet_{variant}_{kind}"
    file_name = f"{stem}{'_k400' if data == 'k400' else ''}.tar.gz"
    return PretrainedEntry(
        name=f"{stem}_{data}",
        address=f"{_GARDEN}/{file_name}",
        file_name=file_name,
        source="tf",
        model=stem,
        options=_NO_OPTIONS,
        num_classes=num_classes,
        class_list=class_list,
        **row.clip(),
        licence=_APACHE,
        page=_GARDEN_PAGE,
        top1=top1,
        top5=top5,
        megabytes=row.megabytes,
    )


def _lite_entry(variant: str, precision: str, **known: Any) -> PretrainedEntry:
    """A TensorFlow Lite file of TF Hub: a stream for phones, without published accuracy."""
    version = _LITE_VERSIONS[precision]
    path = f"{variant}/stream/kinetics-600/classification/tflite/{precision}/{version}"
    return PretrainedEntry(
        name=f"movinet_{variant}_stream_k600_{_LITE_SHORT_NAMES[precision]}",
        address=f"{_HUB}/{path}?lite-format=tflite",
        file_name=f"lite-model_movinet_{path.replace('/', '_')}.tflite",
        source="tflite",
        model=f"movinet_{variant}_stream",
        options=known.pop("options", None),
        num_classes=600,
        class_list="kinetics_600",
        **_VARIANTS[variant].clip(),
        licence=_APACHE,
        page=f"{_HUB}/{path}",
        **known,
    )


def _entries() -> Iterator[PretrainedEntry]:
    for kind, data in (("stream", "k600"), ("base", "k600"), ("base", "k400")):
        for variant in _VARIANTS:
            yield _garden_entry(variant, kind, data)
    yield _lite_entry(
        "a0",
        "int8",
        options=_PHONE_OPTIONS,
        num_bytes=3_276_048,
        sha256="6125b36e2485eeb5cc1fd6206cf5e5d70235593fbc84610d1dce97fe3aa9c2ac",
        is_proven=True,
    )
    for variant, precision in (
        ("a1", "int8"),
        ("a2", "int8"),
        ("a0", "float16"),
        ("a1", "float16"),
        ("a2", "float16"),
    ):
        yield _lite_entry(variant, precision)
    yield PretrainedEntry(
        name="paddlevideo_a0_k400",
        address=f"{_PADDLEVIDEO}/MoViNetA0_k400.pdparams",
        file_name="MoViNetA0_k400.pdparams",
        source="paddlevideo",
        model="movinet_a0_base",
        options=MappingProxyType({"padding": "paddlevideo", "bn_epsilon": 1e-5}),
        num_classes=400,
        class_list="kinetics_400",
        num_frames=50,
        frame_rate=None,
        pixels=172,
        short_side=192,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        licence=_APACHE,
        page=_PADDLEVIDEO_PAGE,
        top1=66.62,
    )


PRETRAINED: Mapping[str, PretrainedEntry] = MappingProxyType(
    {entry.name: entry for entry in _entries()}
)


def is_pretrained(name: object) -> bool:
    """Whether ``name`` is one of the table."""
    return isinstance(name, str) and name in PRETRAINED


def find_entry(name: str) -> PretrainedEntry:
    """Return the entry of a name.

    Raises:
        WeightsError: there is none; the message has the nearest name.
    """
    if name not in PRETRAINED:
        raise WeightsError(f"no weights are named {name[:100]!r}; {nearest_hint(name, PRETRAINED)}")
    return PRETRAINED[name]

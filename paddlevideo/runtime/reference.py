"""The reference of a bundle: a few pixels and the right answers, so that any port can be proved.

``reference.npz`` holds, for each clip input NAME, ``frames.NAME`` [F, 3, H, W]: a few frames as the
network sees them, behind all preprocessing, and ``order.NAME`` [B, T]: which of them the clips are
made of, ``clips = frames[order]``. ``clip_logits`` [B, N] are the answers behind all T frames.
Bundles of a step program have ``step_logits`` [S, B, N] too: behind each of the first S frames of
the same clips, from states of zeros.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paddlevideo.runtime.bundle import Bundle
from paddlevideo.runtime.manifest import TensorSpec
from paddlevideo.utils.archives import read_npz
from paddlevideo.utils.errors import BundleError, WeightsError
from paddlevideo.utils.limits import how_to_raise, limit

REFERENCE_NAME = "reference.npz"
NUM_STEPS = 8  # more than any queue of states is long, so that all of them have wrapped

_NUM_FRAMES = 4
_NOISY_ROWS = 8  # one of so many: what is smooth packs well, noise does not
_LEVEL = 16
_SMALL_CLIP = 10_000_000  # pixels; of larger ones one is enough for the memory of most machines
_MOST_ROWS = 8
_FRAMES, _ORDER = "frames.", "order."


@dataclass(frozen=True)
class Reference:
    """What ``reference.npz`` holds.

    Attributes:
        frames, order: by the name of the input, see above.
        step_logits: None where there is no step program.
    """

    frames: Mapping[str, np.ndarray]
    order: Mapping[str, np.ndarray]
    clip_logits: np.ndarray
    step_logits: np.ndarray | None = None

    def clips(self) -> dict[str, np.ndarray]:
        """The clips [B, T, 3, H, W] by the name of the input."""
        return {name: self.frames[name][order] for name, order in self.order.items()}

    def write(self, folder: Path) -> None:
        """Write ``reference.npz``."""
        arrays = {_FRAMES + name: array for name, array in self.frames.items()}
        arrays |= {_ORDER + name: array for name, array in self.order.items()}
        if self.step_logits is not None:
            arrays["step_logits"] = self.step_logits
        np.savez_compressed(
            folder / REFERENCE_NAME, allow_pickle=False, clip_logits=self.clip_logits, **arrays
        )


def unanswered(inputs: Sequence[TensorSpec], num_frames: int | None = None) -> Reference:
    """A reference without answers: the same smooth pixels and noise for the same inputs.

    Args:
        inputs: clips [B, T, 3, H, W].
        num_frames: in place of a T that may be any.
    """
    rng = np.random.default_rng(0)
    frames, order = {}, {}
    for spec in inputs:
        _, length, channels, height, width = spec.shape
        length = num_frames if length < 0 and num_frames is not None else length
        rows = 2 if length * channels * height * width <= _SMALL_CLIP else 1
        frames[spec.name] = _frames((channels, height, width), spec.dtype, rng)
        order[spec.name] = rng.integers(0, _NUM_FRAMES, (rows, length), np.int32)
    rows = min(len(item) for item in order.values())
    order = {name: item[:rows] for name, item in order.items()}
    return Reference(frames, order, np.zeros((rows, 0), np.float32))


def _frames(shape: tuple[int, int, int], dtype: str, rng: np.random.Generator) -> np.ndarray:
    """Slow waves in steps of `_LEVEL`, and noise in some rows of each frame."""
    _, height, width = shape
    y, x = np.mgrid[0:1:height * 1j, 0:1:width * 1j]  # fmt: skip
    waves = [
        np.sin(2 * np.pi * (rng.uniform(0.5, 2) * x + rng.uniform(0.5, 2) * y + rng.uniform()))
        for _ in range(_NUM_FRAMES * shape[0])
    ]
    smooth = 127.5 + 127.5 * np.stack(waves).reshape(_NUM_FRAMES, *shape)
    frames = (smooth // _LEVEL * _LEVEL).astype(np.uint8)
    noisy = -(-height // _NOISY_ROWS)
    for number, frame in enumerate(frames):
        first = (height - noisy) * number // (_NUM_FRAMES - 1)
        frame[:, first : first + noisy] = rng.integers(0, 256, (shape[0], noisy, width), np.uint8)
    if dtype == "uint8":
        return frames
    return (frames / 127.5 - 1).astype(dtype)  # about what a Normalization step makes of pixels


def read_reference(bundle: Bundle) -> Reference:
    """Read the reference of a bundle; nothing but arrays of numbers within the limits.

    Raises:
        BundleError: there is none, it is damaged, or it does not fit the manifest.
    """
    stated = bundle.manifest.reference
    if stated is None:
        raise BundleError(f"{bundle.folder} has no {REFERENCE_NAME}; export the model again")
    path = bundle.folder / stated.file
    try:
        arrays = read_npz(path, lambda name: True)
    except WeightsError as error:
        raise BundleError(f"{error}; export the model again") from None
    try:
        return _checked(arrays, bundle)
    except (KeyError, ValueError) as error:
        raise BundleError(f"{path} does not fit its bundle: {error}; export it again") from None


def _checked(arrays: Mapping[str, np.ndarray], bundle: Bundle) -> Reference:
    """The arrays as a reference; `ValueError` or `KeyError` where they cannot be."""
    manifest = bundle.manifest
    frames = {spec.name: arrays[_FRAMES + spec.name] for spec in manifest.inputs}
    order = {spec.name: arrays[_ORDER + spec.name] for spec in manifest.inputs}
    clip_logits = arrays["clip_logits"]
    _require("clip_logits", clip_logits, (-1, manifest.outputs[0].shape[1]), "float32")
    rows = len(clip_logits)
    if not 1 <= rows <= _MOST_ROWS:
        raise ValueError(f"{rows} clips, expected 1 to {_MOST_ROWS}")
    for spec in manifest.inputs:
        shown, chosen = frames[spec.name], order[spec.name]
        _require(_FRAMES + spec.name, shown, (-1, *spec.shape[2:]), spec.dtype)
        _require(_ORDER + spec.name, chosen, (rows, spec.shape[1]), "int32")
        if not chosen.size or chosen.min() < 0 or chosen.max() >= len(shown):
            raise ValueError(f"{_ORDER}{spec.name} names frames that are not there")
        if chosen.size * shown[0, 0].size > limit("clip_pixels"):
            raise ValueError(f"its clips are too large; {how_to_raise('clip_pixels')}")
    if manifest.step is None:
        return Reference(frames, order, clip_logits)
    step_logits = arrays["step_logits"]
    _require("step_logits", step_logits, (-1, *clip_logits.shape), "float32")
    if not 1 <= len(step_logits) <= next(iter(order.values())).shape[1]:
        raise ValueError(f"step_logits of {len(step_logits)} frames")
    return Reference(frames, order, clip_logits, step_logits)


def _require(name: str, array: np.ndarray, shape: Sequence[int], dtype: str) -> None:
    same = array.ndim == len(shape) and all(
        a == b or b == -1 for a, b in zip(array.shape, shape, strict=True)
    )
    if not same or array.dtype != np.dtype(dtype):
        raise ValueError(
            f"{name} is {list(array.shape)} {array.dtype}, expected {list(shape)} {dtype}"
        )

"""Goldens of other implementations: their layouts of inputs, outputs and states, and ours.

A golden is a ``.npz`` with an input and what another implementation made of it. TensorFlow's are
[B, T, H, W, C], those of PyTorch and PaddleVideo [B, C, T, H, W]; values go into the network as
they are, so the model must not scale them.
"""

import hashlib
import json
import math
from dataclasses import fields
from pathlib import Path

import numpy as np

from paddlevideo.modeling.backbones.movinet.options import MoViNetOptions
from paddlevideo.utils.archives import read_npz
from paddlevideo.utils.damage import damage_of, shown
from paddlevideo.utils.errors import ConfigError, WeightsError
from paddlevideo.utils.limits import how_to_raise, limit
from paddlevideo.utils.nodes import Node, ReadNode

_CONFIG_OPTIONS = (
    "causal",
    "conv_type",
    "se_type",
    "activation",
    "gating_activation",
    "use_positional_encoding",
    "average_pooling_type",
    "classifier_activation",
    "num_classes",
)
# PaddleVideo's test pipeline, for goldens that hold frames before their normalisation.
_MEAN = np.array([0.485, 0.456, 0.406], np.float32).reshape(3, 1, 1)
_STD = np.array([0.229, 0.224, 0.225], np.float32).reshape(3, 1, 1)
_SHA_LETTERS = 16
_TEXTS = ("config", "input_sha")
_NUMBER_KINDS = "biuf"  # NumPy's letters


class Golden:
    """The arrays of one golden.

    Raises:
        WeightsError: missing, damaged, or without an input that is known here.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        arrays = read_npz(
            self.path, lambda name: not name.startswith(("weight/", "train_", "grad/"))
        )
        # Other texts say how the golden was made; what is compared is numbers.
        self.arrays = {
            name: array
            for name, array in arrays.items()
            if array.dtype.kind in _NUMBER_KINDS or name in _TEXTS
        }

    @property
    def is_tensorflow(self) -> bool:
        """Whether the arrays have channels last."""
        return "input" in self.arrays and self.arrays["input"].shape[1:2] != (3,)

    def config(self) -> Node:
        """The constructor arguments of the other implementation, where the golden holds them."""
        if "config" not in self.arrays:
            return {}
        with damage_of(self.path, "a golden"):
            try:
                config = json.loads(str(self.arrays["config"]))
            except ValueError as error:
                raise ValueError(f"config is not JSON: {error}") from None
            if not isinstance(config, dict):
                raise ValueError("config is no table")
            return config

    def clip_BTCHW(self) -> np.ndarray:
        """The input, float32.

        Raises:
            WeightsError: there is none that is known, or a made one is not what it was.
        """
        with damage_of(self.path, "a golden"):
            return self._clip_BTCHW()

    def _clip_BTCHW(self) -> np.ndarray:
        arrays = self.arrays
        if "input" in arrays:
            axes = (0, 1, 4, 2, 3) if self.is_tensorflow else (0, 2, 1, 3, 4)
            clip = self._with_axes("input", 5).transpose(axes)
        elif "x" in arrays:
            clip = self._with_axes("x", 5).transpose(0, 2, 1, 3, 4)
        elif "frames_u8" in arrays:
            frames: np.ndarray = self._with_axes("frames_u8", 4).astype(np.float32)
            frames /= np.float32(255)
            frames -= _MEAN
            frames /= _STD
            clip = self._verified(frames)[None]
        elif "input_seed" in arrays:
            generator = np.random.RandomState(int(arrays["input_seed"]))
            shape = tuple(arrays["input_shape"].tolist())
            if len(shape) != 5 or min(shape) < 1 or math.prod(shape) > limit("golden_values"):
                raise ValueError(f"input_shape {shown(shape)}; {how_to_raise('golden_values')}")
            made = generator.standard_normal(shape).astype(np.float32)
            clip = self._verified(made).transpose(0, 2, 1, 3, 4)
        else:
            held = ", ".join(list(arrays)[:5]) or "nothing"
            raise WeightsError(f"{self.path} is no golden: it holds no input, but {held}")
        if clip.shape[2] != 3:
            raise WeightsError(f"{self.path}: the input has {clip.shape[2]} channels, expected 3")
        return np.ascontiguousarray(clip, np.float32)

    def logits(self) -> np.ndarray:
        """The logits of the whole clip [B, N]."""
        for name in ("logits", "logits_base_random"):
            if name in self.arrays:
                return self.arrays[name]
        raise WeightsError(f"{self.path} is no golden: it holds no logits")

    def part(self, prefix: str) -> dict[str, np.ndarray]:
        """The arrays under ``prefix/``, without it."""
        return {
            name.removeprefix(prefix): array
            for name, array in self.arrays.items()
            if name.startswith(prefix)
        }

    def _with_axes(self, name: str, rank: int) -> np.ndarray:
        array = self.arrays[name]
        if array.ndim != rank:
            raise WeightsError(
                f"{self.path}: {name} has shape {list(array.shape)}, not {rank} axes"
            )
        return array

    def _verified(self, array: np.ndarray) -> np.ndarray:
        """The array, if its checksum is that of the golden's input."""
        found = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:_SHA_LETTERS]
        expected = str(self.arrays.get("input_sha", found))
        if found != expected:
            raise WeightsError(
                f"{self.path}: the input made here has the SHA-256 {found}, expected {expected}"
            )
        return array


def our_state(name: str, array: np.ndarray) -> np.ndarray:
    """Bring one of TensorFlow's states into our layout; counters and sums have one axis here."""
    if name.endswith("frame_count"):
        return array.reshape([-1])
    if name.endswith("pool_buffer"):
        return array.reshape(array.shape[0], array.shape[-1])
    return array.transpose(0, 4, 1, 2, 3)


def our_endpoint(array: np.ndarray, channels_last: bool) -> np.ndarray:
    """Bring an endpoint into our layout: [B, C, T, H, W], or [B, C] after the pool."""
    if channels_last:
        array = array.transpose(0, 4, 1, 2, 3)
    return array.reshape(array.shape[:2]) if array.shape[2:] == (1, 1, 1) else array


def golden_options(golden: Golden, section: ReadNode) -> Node:
    """Return the options that turn the model of ``section`` into the golden's.

    Raises:
        ConfigError: the golden is of another variant.
    """
    config = golden.config()
    backbone, head = section["backbone"], section["head"]
    ours = str(backbone["model_type"]).lower()
    variant = str(config.get("model_id", ours)).lower()
    if variant != ours:
        raise ConfigError(f"{golden.path} is a golden of {variant}, the model is {ours}")
    current = {
        **{option.name: option.default for option in fields(MoViNetOptions)},
        **backbone,
        "classifier_activation": head["activation"],
        "num_classes": head["num_classes"],
    }
    wanted = {key: config[key] for key in _CONFIG_OPTIONS if key in config}
    return {key: value for key, value in wanted.items() if value != current.get(key)}

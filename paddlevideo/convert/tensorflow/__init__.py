"""TensorFlow object checkpoints, read without TensorFlow (spec section 4.5)."""

from paddlevideo.convert.tensorflow.bundle import Bundle
from paddlevideo.convert.tensorflow.locate import find_prefix

__all__ = ["Bundle", "find_prefix"]

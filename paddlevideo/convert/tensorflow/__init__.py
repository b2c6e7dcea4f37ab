"""TensorFlow object checkpoints, read without TensorFlow (docs/weights.md).

May import what ``convert`` may. Begin reading in `bundle`.
"""

from paddlevideo.convert.tensorflow.bundle import Bundle
from paddlevideo.convert.tensorflow.locate import find_prefix

__all__ = ["Bundle", "find_prefix"]

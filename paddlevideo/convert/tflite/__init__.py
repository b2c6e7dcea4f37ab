"""TensorFlow Lite models (``.tflite``), read without TensorFlow: tables, tensors, operations.

May import what ``convert`` may. Begin reading in `model`.
"""

from paddlevideo.convert.tflite.graph import Graph, Operation
from paddlevideo.convert.tflite.model import read_model

__all__ = ["Graph", "Operation", "read_model"]

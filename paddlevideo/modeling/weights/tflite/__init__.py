"""Read TensorFlow Lite models (``.tflite``) without TensorFlow: tables, tensors, operations."""

from paddlevideo.modeling.weights.tflite.graph import Graph, Operation
from paddlevideo.modeling.weights.tflite.model import read_model

__all__ = ["Graph", "Operation", "read_model"]

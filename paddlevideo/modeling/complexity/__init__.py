"""What a model costs and wants: parameters, multiply-adds, states, receptive field, input.

May import what ``modeling`` may. Begin reading in `model_complexity`.
"""

from paddlevideo.modeling.complexity.model_complexity import (
    ModelComplexity,
    frames_per_second,
    model_complexity,
)
from paddlevideo.modeling.complexity.traced import traced_multiply_adds

__all__ = ["ModelComplexity", "frames_per_second", "model_complexity", "traced_multiply_adds"]

"""What a model costs and wants: parameters, multiply-adds, states, receptive field, input."""

from paddlevideo.modeling.complexity.model_complexity import (
    ModelFacts,
    frames_per_second,
    model_facts,
)
from paddlevideo.modeling.complexity.traced import traced_multiply_adds

__all__ = ["ModelFacts", "frames_per_second", "model_facts", "traced_multiply_adds"]

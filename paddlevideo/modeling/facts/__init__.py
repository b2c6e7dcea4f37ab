"""What a model costs and wants: parameters, multiply-adds, states, receptive field, input."""

from paddlevideo.modeling.facts.model_facts import ModelFacts, frames_per_second, model_facts
from paddlevideo.modeling.facts.traced import traced_multiply_adds

__all__ = ["ModelFacts", "frames_per_second", "model_facts", "traced_multiply_adds"]

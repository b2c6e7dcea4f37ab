"""Video recognition on PaddlePaddle: MoViNet, trained, exported and streamed.

>>> import paddlevideo
>>> model = paddlevideo.create_model("movinet_a0_base", num_classes=400)
>>> logits = model(clip_BTCHW)                 # uint8 or float in [0, 255], RGB
>>> predictor = paddlevideo.load_predictor("inference/MoViNetA0")
>>> predictor("video.mp4", top_k=5).label

May import ``api`` alone, when a function is asked for. Begin reading in docs/architecture.md.
"""

import importlib
import warnings
from typing import TYPE_CHECKING

# Paddle's notice about a compiler cache concerns nobody here. Paddle itself is imported by what
# needs it: `paddlevideo --help` does not.
warnings.filterwarnings("ignore", message="No ccache found")

if TYPE_CHECKING:
    from paddlevideo.api import create_model, list_models, load_predictor

__version__ = "0.1.0"
__all__ = ["create_model", "list_models", "load_predictor"]


def __getattr__(name: str) -> object:
    """Import the public functions when they are first asked for."""
    if name in __all__:
        return vars(importlib.import_module("paddlevideo.api"))[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Other people's weights and configs, translated into ours when a file is read.

All other packages know one vocabulary; whatever is translated is said in the log. May import
``runtime``, ``modeling``, ``weights`` and ``utils``. Begin reading in `import_weights`.
"""

from paddlevideo.convert.paddlevideo_config import translate_config
from paddlevideo.convert.paddlevideo_weights import translate_weights

__all__ = ["translate_config", "translate_weights"]

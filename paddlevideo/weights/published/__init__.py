"""Released weights by name: where they are, what they are of, and how they get into the cache.

Begin reading in `table`, which says what there is; `paddlevideo.convert.resolve` makes a file of a
name. May import what ``weights`` may, and imports Paddle nowhere.
"""

from paddlevideo.weights.published.classes import class_names
from paddlevideo.weights.published.entry import PretrainedEntry
from paddlevideo.weights.published.table import PRETRAINED, find_entry, is_pretrained

__all__ = ["PRETRAINED", "PretrainedEntry", "class_names", "find_entry", "is_pretrained"]

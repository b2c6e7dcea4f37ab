"""Released weights by name: where they are, what they are of, and how they get into the cache.

`table` says what there is, `resolve` makes a file of a name. Importing this package is cheap:
Paddle and the network come in when a file is fetched or converted.
"""

from paddlevideo.weights.published.classes import class_names
from paddlevideo.weights.published.entry import PretrainedEntry
from paddlevideo.weights.published.table import PRETRAINED, find_entry, is_pretrained

__all__ = ["PRETRAINED", "PretrainedEntry", "class_names", "find_entry", "is_pretrained"]

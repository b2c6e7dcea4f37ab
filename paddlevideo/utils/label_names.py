"""What the labels of a batch are called: the agreement between data sets, mixing and models.

A batch of mixed clips has two labels for each: that of the clip with the larger share, and that of
the other.
"""

LABEL = "label"  # int64 [B]
MIXED_LABEL = "mixed_label"  # int64 [B]: of the smaller share
MIX_WEIGHT = "mix_weight"  # float32, a scalar: the larger share, 0.5 to 1

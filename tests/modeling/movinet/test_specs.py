"""What the tables say beside the numbers of test_complexity.py (docs/movinet.md)."""

import pytest

from paddlevideo.modeling.backbones.movinet.specs import SPECS

DROPOUT = {  # of the base and of the stream model
    "T0": (0.2, 0.2),
    "A0": (0.2, 0.2),
    "A1": (0.5, 0.2),
    "A2": (0.5, 0.5),
    "A3": (0.5, 0.5),
    "A4": (0.5, 0.5),
    "A5": (0.5, 0.5),
}


@pytest.mark.parametrize("variant", SPECS)
def test_what_a_variant_was_designed_for(variant):
    spec = SPECS[variant]
    assert (spec.dropout, spec.stream_dropout) == DROPOUT[variant]
    assert spec.positional_encoding == (variant in ("A3", "A4", "A5"))
    assert [layer.stride for layer in spec.layers() if layer.layer == 0] == [2, 2, 2, 1, 2]
    assert all(layer.stride == 1 for layer in spec.layers() if layer.layer > 0)

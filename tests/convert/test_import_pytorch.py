"""Names and layouts of the PyTorch port, for every variant; and the port's own file."""

import re
from collections import OrderedDict

import numpy as np
import pytest
from modeling.conftest import seeded

from convert.tensorflow.movinet_checkpoint import small_arrays
from convert.torch_writer import write_torch_file
from paddlevideo.convert.movinet_pytorch import import_pytorch
from paddlevideo.utils.errors import WeightsError

VARIANTS = ["movinet_t0_base", "movinet_a0_base", "movinet_a0_stream", "movinet_a1_stream",
            "movinet_a2_base", "movinet_a3_base", "movinet_a4_base", "movinet_a5_base"]  # fmt: skip
KINDS = {"weight": "weight", "bias": "bias", "_mean": "running_mean", "_variance": "running_var"}
PARTS = {
    "backbone.stem": "conv1.conv_1", "backbone.project": "conv7.conv_1",
    "head.dense": "classifier.0.conv_1", "head.classifier": "classifier.3.conv_1",
    "expand": "expand.conv_1", "project": "project.conv_1", "feature.spatial": "deep.conv_1",
    "feature.temporal": "deep.conv_2", "attention.reduce": "se.fc1.conv_1",
    "attention.expand": "se.fc2.conv_1",
}  # fmt: skip


def port_table(arrays: dict[str, np.ndarray], flat: bool) -> OrderedDict[str, np.ndarray]:
    """Our weights as the port keeps them; ``flat``: as two-dimensional convolutions."""
    conv = "conv2d" if flat else "conv3d"
    table: OrderedDict[str, np.ndarray] = OrderedDict()
    for name, array in arrays.items():
        block = re.match(r"backbone\.blocks\.block(\d)_layer(\d+)\.(.+)", name)
        prefix, rest = (f"blocks.b{block[1]}_l{block[2]}.", block[3]) if block else ("", name)
        if rest == "rezero.scale":
            table[f"{prefix}alpha"] = array.reshape([])
            continue
        part, kind = rest.rsplit(".", 1)
        inner = "norm" if part.endswith(".bn") else conv
        part = part.removesuffix(".bn").removesuffix(".conv")
        if part == "shortcut.project":  # the pooling before it is there where the block strides
            strides = re.match(r"blocks\.b[0124]_l0", prefix)
            part = f"res.{1 if strides else 0}.conv_1"
        else:
            part = PARTS[part]
        if kind == "weight" and inner == conv:
            if array.ndim == 2:
                array = array.T[:, :, None, None] if flat else array.T[:, :, None, None, None]
            elif flat:
                array = array[..., 0] if part == "deep.conv_2" else array[:, :, 0]
        table[f"{prefix}{part}.{inner}.{KINDS[kind]}"] = array
        if inner == "norm" and kind == "_variance":
            table[f"{prefix}{part}.norm.num_batches_tracked"] = np.array(5)
    return table


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant(tmp_path, name):
    arrays, _, shapes = small_arrays(name)
    path = tmp_path / "a.pt"
    table = port_table(arrays, flat=name.endswith("stream"))
    write_torch_file(path, table)
    imported = import_pytorch(path)
    imported.require_fit(shapes, name)
    for weight, array in arrays.items():
        assert np.array_equal(imported.arrays[weight], array), weight
    assert len(imported.left_over) == len(table) - len(arrays)
    assert set(imported.left_over.values()) == {"counter of batch norm"}


@pytest.fixture(scope="module")
def t0():
    arrays, _, shapes = small_arrays("movinet_t0_base")
    return arrays, shapes, port_table(arrays, flat=False)


def test_a_training_checkpoint_of_a_wrapped_model(tmp_path, t0):
    _, shapes, table = t0
    wrapped = OrderedDict((f"module.{name}", array) for name, array in table.items())
    write_torch_file(tmp_path / "a.pt", {"epoch": 3, "state_dict": wrapped})
    imported = import_pytorch(tmp_path / "a.pt")
    imported.require_fit(shapes, "t0")
    assert imported.left_over["epoch"] == "beside state_dict"


def test_names_of_the_first_releases(tmp_path, t0):
    arrays, shapes, table = t0
    dense = re.compile(r"(se\.fc[12]|classifier\.[03])\.conv_1\.conv3d")
    old = {dense.sub(r"\1", name).replace(".conv_1.", "."): a for name, a in table.items()}
    assert "blocks.b1_l0.deep.conv3d.weight" in old and "classifier.0.bias" in old
    write_torch_file(tmp_path / "a.pt", old)
    imported = import_pytorch(tmp_path / "a.pt")
    imported.require_fit(shapes, "t0")
    assert all(np.array_equal(imported.arrays[name], arrays[name]) for name in arrays)
    stream, _, shapes = small_arrays("movinet_t0_stream")
    table = port_table(stream, flat=True)
    write_torch_file(
        tmp_path / "a.pt", {k.replace(".conv_", ".2plus1s.conv_"): a for k, a in table.items()}
    )
    import_pytorch(tmp_path / "a.pt").require_fit(shapes, "t0")


def test_missing_unknown_and_doubled(tmp_path, t0):
    _, shapes, table = t0
    table = OrderedDict(table)
    del table["conv7.conv_1.norm.bias"]
    table["blocks.b1_l0.new.weight"] = seeded((2,))
    write_torch_file(tmp_path / "a.pt", table)
    imported = import_pytorch(tmp_path / "a.pt")
    with pytest.raises(WeightsError) as caught:
        imported.require_fit(shapes, "movinet_t0_base")
    assert "\n  1 missing in the file: backbone.project.bn.bias" in str(caught.value)
    assert "\n  1 unknown to the model: blocks.b1_l0.new.weight" in str(caught.value)
    table["module.conv1.conv_1.norm.weight"] = table["conv1.conv_1.norm.weight"]
    write_torch_file(tmp_path / "a.pt", table)
    assert "module.conv1.conv_1.norm.weight" in import_pytorch(tmp_path / "a.pt").unknown


def test_another_network(tmp_path):
    write_torch_file(tmp_path / "a.pt", {"layer1.0.conv1.weight": seeded((2, 2, 1, 1))})
    with pytest.raises(
        WeightsError, match=r"holds no MoViNet of the PyTorch port; it holds layer1"
    ):
        import_pytorch(tmp_path / "a.pt")
    write_torch_file(tmp_path / "a.pt", {"blocks.b0_l0.alpha": np.array(0.1, "float32")})
    with pytest.raises(WeightsError, match=r"1 bottleneck layers fit no MoViNet \(T0 14, A0 15"):
        import_pytorch(tmp_path / "a.pt")


def test_golden(shared_dir):
    imported = import_pytorch(shared_dir / "golden" / "pytorch" / "a0_stream.pt")
    assert len(imported.arrays) == 389 and not imported.unknown
    assert set(imported.left_over.values()) == {"counter of batch norm"}
    assert len(imported.left_over) == 62

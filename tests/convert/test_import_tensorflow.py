"""Checkpoints of every variant and form, made here; and Model Garden's own, of the goldens."""

import json

import numpy as np
import pytest
from modeling.conftest import part

from convert.tensorflow.movinet_checkpoint import FORMS, small_arrays, write_checkpoint
from convert.tensorflow.movinet_layout import to_tensorflow
from convert.tensorflow.writer import GRAPH, VALUE, Objects, write_bundle
from paddlevideo.convert.import_tensorflow import import_tensorflow
from paddlevideo.convert.movinet_names import describe, names_of
from paddlevideo.convert.movinet_tensorflow import from_tensorflow
from paddlevideo.modeling import list_models
from paddlevideo.utils.errors import WeightsError

VARIANTS = [f"movinet_{v}_{k}" for v in ("t0", "a0", "a1", "a2", "a3", "a4", "a5")
            for k in ("base", "stream")]  # fmt: skip


def conv_form(name: str) -> str:
    return "3d" if name.endswith("base") else "2plus1d"


def assert_all(imported, arrays, shapes, name="model"):
    imported.require_fit(shapes, name)
    assert set(imported.arrays) == set(arrays)
    for weight, array in arrays.items():
        assert np.array_equal(imported.arrays[weight], array), weight


def test_all_single_networks_are_tested():
    assert set(VARIANTS) <= set(list_models())


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant(tmp_path, name):
    arrays, blocks, shapes = small_arrays(name)
    write_checkpoint(tmp_path / "ckpt", arrays, blocks, "model", conv_form(name), num_shards=2)
    imported = import_tensorflow(tmp_path / "ckpt")
    assert_all(imported, arrays, shapes)
    assert describe(shapes)["variant"].lower() == name.split("_")[1]
    assert set(arrays) <= set(names_of(blocks))
    reasons = {"counter of the training", "graph of the saved objects, read"}
    assert set(imported.left_over.values()) == reasons and not imported.unknown


@pytest.fixture(scope="module")
def a3():
    """Stream A3: temporal kernels, positional encoding, a projection without stride."""
    return small_arrays("movinet_a3_stream")


@pytest.mark.parametrize("conv_type", ["2plus1d", "3d_2plus1d"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_either_conv_type(tmp_path, a3, form, conv_type):
    arrays, blocks, shapes = a3
    folder = tmp_path / "variables" / "variables" if form == "saved_model" else tmp_path / "ckpt-1"
    write_checkpoint(folder, arrays, blocks, form, conv_type, num_shards=3)
    imported = import_tensorflow(tmp_path)
    assert_all(imported, arrays, shapes)
    reasons = set(imported.left_over.values()) - {"graph of the saved objects, read"}
    assert (
        reasons
        == {
            "trainer": {"slot of the optimizer", "the optimizer's", "counter of the training"},
            "model": {"counter of the training"},
            "save_weights": set(),
            "saved_model": {"metric of the training"},
        }[form]
    )


def cut_edges(*names):
    def edit(objects: Objects) -> None:
        for edges in objects.edges:
            for name in [edge for edge in edges if edge.startswith(names)]:
                del edges[name]

    return edit


def test_other_edges_to_the_same_objects(tmp_path, a3):
    """Without the edges that the keys follow, the alternatives still lead to every variable."""
    arrays, blocks, shapes = a3
    cut = cut_edges(
        "layer_with_weights", "_batch_norm_temporal", "_expansion", "_feature", "_skip", "backbone"
    )

    def edit(objects: Objects) -> None:
        classifier = objects.at("layer_with_weights-1", objects.at("model"))
        kept = [dict(edges) for edges in objects.edges]
        cut(objects)
        objects.edges[objects.at("model")]["layer-9"] = classifier
        for edges, before in zip(objects.edges, kept, strict=False):  # these stay below the layers
            for edge in ("_expansion_layer", "_feature_layer", "_skip_layer"):
                if edge in before:
                    edges[edge] = before[edge]

    write_checkpoint(tmp_path / "ckpt", arrays, blocks, "trainer", edit=edit)
    assert_all(import_tensorflow(tmp_path / "ckpt"), arrays, shapes)


def test_a_batch_norm_reached_through_its_convolution(tmp_path, a3):
    arrays, blocks, shapes = a3

    def edit(objects: Objects) -> None:
        for edges in objects.edges:
            if "_conv" in edges:
                edges.pop("_batch_norm", None)

    write_checkpoint(tmp_path / "ckpt", arrays, blocks, edit=edit)
    assert_all(import_tensorflow(tmp_path / "ckpt"), arrays, shapes)


def test_edges_that_disagree(tmp_path, a3):
    arrays, blocks, _ = a3

    def edit(objects: Objects) -> None:
        layer = objects.at("backbone/layer_with_weights-1")
        other = objects.at("backbone/layer_with_weights-2/_expansion")
        objects.edges[objects.at("_mobile_bottleneck", layer)]["_expansion_layer"] = other

    write_checkpoint(tmp_path / "ckpt", arrays, blocks, edit=edit)
    with pytest.raises(WeightsError, match="leads to several variables"):
        import_tensorflow(tmp_path / "ckpt")


def test_bfloat16_weights(tmp_path, a3):
    arrays, blocks, shapes = a3
    write_checkpoint(tmp_path / "ckpt", arrays, blocks, "save_weights", dtype="bfloat16")
    imported = import_tensorflow(tmp_path / "ckpt")
    imported.require_fit(shapes, "model")
    for name, array in arrays.items():
        assert imported.arrays[name].dtype == np.float32
        np.testing.assert_allclose(imported.arrays[name], array, rtol=2**-7)


def test_another_variant_kind_and_number_of_classes(tmp_path):
    arrays, blocks, _ = small_arrays("movinet_a1_base", num_classes=600)
    arrays["head.classifier.bias"] = np.zeros(7, "float32")
    write_checkpoint(tmp_path / "ckpt", arrays, blocks, conv_type="3d")
    imported = import_tensorflow(tmp_path / "ckpt")
    shapes = small_arrays("movinet_a0_stream")[2]
    with pytest.raises(WeightsError) as caught:
        imported.require_fit(shapes, "movinet_a0_stream")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}/ckpt does not fit movinet_a0_stream; nothing was loaded")
    for line in (
        "variant: expected A0, found A1",
        "convolutions: expected (2+1)D, found 3d",
        "classes: expected 2, found 7",
    ):
        assert f"\n  {line}\n" in message
    assert " missing in the file: " in message and " unknown to the model: " in message


def test_a_variable_of_the_network_that_is_unknown_is_not_passed_over(tmp_path, a3):
    arrays, blocks, shapes = a3
    key = f"backbone/layer_with_weights-3/_new/gate{VALUE}"

    def edit(objects: Objects) -> None:
        node = objects.at(key.removesuffix(VALUE))
        objects.keys[node] = key

    write_checkpoint(tmp_path / "ckpt", arrays, blocks, edit=edit)
    imported = import_tensorflow(tmp_path / "ckpt")
    assert imported.unknown == [key]
    with pytest.raises(WeightsError, match=r"1 unknown to the model: backbone/.*_new/gate"):
        imported.require_fit(shapes, "model")


def test_a_backbone_alone_is_incomplete(tmp_path, a3):
    arrays, blocks, shapes = a3
    backbone = {name: array for name, array in arrays.items() if not name.startswith("head.")}

    def edit(objects: Objects) -> None:
        cut_edges("model")(objects)

    write_checkpoint(tmp_path / "ckpt", backbone, blocks, edit=edit)
    with pytest.raises(WeightsError, match=r"classes: expected 2, found no classifier"):
        import_tensorflow(tmp_path / "ckpt").require_fit(shapes, "model")


def test_graphs_without_one_movinet(tmp_path, a3):
    objects = Objects()
    objects.keys[objects.at("model/dense/kernel")] = f"model/dense/kernel{VALUE}"
    tensors = {f"model/dense/kernel{VALUE}": np.zeros((2, 2), "float32")}
    prefix = write_bundle(tmp_path / "ckpt", tensors, {GRAPH: objects.encoded()})
    with pytest.raises(WeightsError, match=r"no MoViNet in the graph .* has: model"):
        import_tensorflow(prefix)
    write_bundle(prefix, tensors, {GRAPH: b"\x0a\x06\x0a\x04\x08\x09\x12\x00"})
    with pytest.raises(WeightsError, match="damaged graph of saved objects: an edge leads to"):
        import_tensorflow(prefix)
    write_bundle(prefix, tensors)
    with pytest.raises(WeightsError, match="name-based checkpoint of TensorFlow 1"):
        import_tensorflow(prefix)
    arrays, blocks, _ = a3

    def edit(objects: Objects) -> None:
        for layer in range(len(blocks) + 2):
            copy = objects.at(f"other/layer_with_weights-{layer}")
            objects.edges[copy] = objects.edges[objects.at(f"backbone/layer_with_weights-{layer}")]

    write_checkpoint(prefix, arrays, blocks, edit=edit)
    with pytest.raises(WeightsError, match=r"holds 2 networks: backbone, other"):
        import_tensorflow(prefix)


# Either form of the (2+1)D kernels holds the same numbers.


def test_both_conv_types_convert_both_ways(a3):
    arrays, blocks, _ = a3
    flat = to_tensorflow(arrays, blocks, "2plus1d")
    deep = to_tensorflow(arrays, blocks, "3d_2plus1d")
    assert len(flat) == len(deep) == len(arrays)
    assert max(array.ndim for array in flat.values()) == 4
    assert {array.ndim for key, array in deep.items() if "kernel" in key} == {5}
    for written, other in ((flat, "3d_2plus1d"), (deep, "2plus1d")):
        read, rest = from_tensorflow(written, arrays, blocks)
        assert not rest and all(np.array_equal(read[name], arrays[name]) for name in arrays)
        again = to_tensorflow(read, blocks, other)
        expected = deep if other == "3d_2plus1d" else flat
        assert again.keys() == expected.keys()
        assert all(np.array_equal(again[key], expected[key]) for key in again)


@pytest.mark.parametrize("name", ["a0_base", "a0_stream"])
def test_goldens(shared_dir, name):
    """Checkpoint and table of one model agree, and are written back as they were."""
    folder = shared_dir / "golden" / "tf"
    imported = import_tensorflow(folder / f"{name}_ckpt")
    table = import_tensorflow(folder / f"{name}.npz")
    assert not imported.unknown and set(imported.left_over) == {GRAPH} and not table.left_over
    assert len(imported.arrays) == {"a0_base": 334, "a0_stream": 389}[name]
    with np.load(folder / f"{name}.npz", allow_pickle=False) as content:
        golden = {key: content[key] for key in content.files if key.startswith("weight/")}
        conv_type = json.loads(str(content["config"]))["conv_type"]
    for weight, array in table.arrays.items():
        assert np.array_equal(imported.arrays[weight], array), weight
    blocks = sorted({w.split(".")[2] for w in table.arrays if ".blocks." in w})
    written = to_tensorflow(table.arrays, blocks, conv_type)
    expected = part(golden, "weight/")
    expected = {key.removesuffix(VALUE) + VALUE: array for key, array in expected.items()}
    assert written.keys() == expected.keys()
    for key, array in expected.items():
        assert written[key].shape == array.shape and np.array_equal(written[key], array), key


def test_tables_without_a_network(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, logits=np.zeros(3))
    with pytest.raises(WeightsError, match="holds no MoViNet: no array weight/"):
        import_tensorflow(path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(WeightsError, match=r"damaged or not a \.npz file"):
        import_tensorflow(path)
    with pytest.raises(WeightsError, match="cannot be read: No such file"):
        import_tensorflow(tmp_path / "b.npz")

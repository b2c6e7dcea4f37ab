"""Damaged and hostile ONNX files: an error of ours, or the answer of ONNX Runtime; nothing else."""

from __future__ import annotations

import copy

import numpy as np
import pytest

pytest.importorskip("numba")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from robustness.clip_programs import RandomClip  # noqa: E402
from robustness.guarded import failures, outcomes  # noqa: E402
from robustness.mutations import mutants  # noqa: E402
from robustness.onnx_programs import RandomProgram, run_file, step_program  # noqa: E402

_NUMBERS = (-(2**63), -9999998, -1, 0, 1, 2, 3, 7, 16, 17, 10**7, 2**31, 2**62)


@pytest.fixture(scope="module", autouse=True)
def kernels(tmp_path_factory):
    """Compiled here, not under the limit of time of a case; what is mutated runs as it is."""
    path = tmp_path_factory.mktemp("kernels") / "a.onnx"
    onnx.save(step_program(), str(path))
    assert run_file(path, "compiled") == "compiled"


def restructured(model: onnx.ModelProto, rng: np.random.Generator) -> onnx.ModelProto:
    """The model with one to three parts of its meaning changed."""
    model = copy.deepcopy(model)
    for _ in range(int(rng.integers(1, 4))):
        kinds = (_attribute, _initializer, _name, _nodes, _ports, _declared, _opset)
        kinds[int(rng.integers(len(kinds)))](model.graph, rng, model)
    return model


def _one(items, rng):
    return items[int(rng.integers(len(items)))]


def _number(rng):
    return int(_one(_NUMBERS, rng))


def _attribute(graph, rng, model):
    node = _one(graph.node, rng)
    if not node.attribute or rng.random() < 0.2:
        name = _one(["pads", "strides", "dilations", "group", "axis", "kernel_shape", "x"], rng)
        value = _number(rng) if name in ("group", "axis", "x") else [_number(rng)] * 2
        node.attribute.append(helper.make_attribute(name, value))
        return
    chosen = _one(node.attribute, rng)
    if rng.random() < 0.15:
        node.attribute.remove(chosen)
    elif chosen.ints:
        values = list(chosen.ints)
        values[int(rng.integers(len(values)))] = _number(rng)
        chosen.ints[:] = values[: _one([1, 2, 3, 4, 4], rng)]
    elif chosen.type == onnx.AttributeProto.FLOAT:
        chosen.f = float(_one([np.nan, np.inf, -1.0, 0.0, 1e30], rng))
    else:
        chosen.i = _number(rng)


def _initializer(graph, rng, model):
    if not graph.initializer:
        return
    tensor = _one(graph.initializer, rng)
    choice = int(rng.integers(6))
    if choice == 0 and tensor.dims:
        tensor.dims[int(rng.integers(len(tensor.dims)))] = _number(rng)
    elif choice == 1:
        tensor.data_type = int(rng.integers(0, 25))
    elif choice == 2:
        tensor.raw_data = tensor.raw_data[: int(rng.integers(len(tensor.raw_data) + 1))]
    elif choice == 3:
        shape = [int(rng.integers(0, 40)) for _ in range(int(rng.integers(0, 5)))]
        if np.prod(shape, dtype=float) < 1e6:
            value = rng.standard_normal(shape).astype(_one([np.float32, np.float16, int], rng))
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    elif choice == 4:
        try:
            value = numpy_helper.to_array(tensor)
        except Exception:  # noqa: BLE001 - an earlier change has spoilt it already
            return
        value = np.resize(value, int(rng.integers(1, 60)))
        tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    else:
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="/etc/hostname")


def _name(graph, rng, model):
    names = [name for node in graph.node for name in (*node.input, *node.output)]
    node = _one(graph.node, rng)
    ports = node.input if rng.random() < 0.6 and node.input else node.output
    if ports:
        ports[int(rng.integers(len(ports)))] = _one([*names, "", "nothing"], rng)


def _nodes(graph, rng, model):
    nodes = list(graph.node)
    first, second = (int(n) for n in rng.integers(len(nodes), size=2))
    choice = int(rng.integers(4))
    if choice == 0:
        nodes[first], nodes[second] = nodes[second], nodes[first]
    elif choice == 1:
        nodes.insert(second, nodes[first])
    elif choice == 2 and len(nodes) > 1:
        del nodes[first]
    else:
        nodes[first].op_type = _one(["Add", "Mul", "Relu", "Concat", "Conv", "Tile", "If"], rng)
    copies = [copy.deepcopy(node) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def _ports(graph, rng, model):
    items = graph.input if rng.random() < 0.5 else graph.output
    choice = int(rng.integers(3))
    if choice == 0 and len(items) > 1:
        items.remove(_one(items, rng))
    elif choice == 1:
        items.append(copy.deepcopy(_one(items, rng)))
    else:
        names = [name for node in graph.node for name in (*node.input, *node.output)]
        _one(items, rng).name = _one(names, rng)


def _declared(graph, rng, model):
    kind = _one([*graph.input, *graph.output], rng).type.tensor_type
    if rng.random() < 0.4:
        kind.elem_type = int(rng.integers(0, 24))
    elif kind.shape.dim:
        _one(kind.shape.dim, rng).dim_value = _number(rng)


def _opset(graph, rng, model):
    model.opset_import[0].version = int(_one([-1, 0, 1, 6, 9, 11, 13, 22, 30, 10**9], rng))


def _cases(seed, count):
    base = step_program()
    for number, (name, data) in enumerate(mutants(base.SerializeToString(), count // 2, seed)):
        yield f"bytes {name}", data, ("auto", "compiled")[number % 2]
    for number in range(count - count // 2):
        rng = np.random.default_rng([seed, number])
        source = base if number % 3 else RandomProgram(number).model()
        if number % 4 == 1:
            source = RandomClip(number).model()
        model = restructured(source, rng)
        yield f"seed {seed}, structure {number}", model.SerializeToString(), (
            "auto", "compiled", "onnxruntime"
        )[number % 3]  # fmt: skip


@pytest.mark.parametrize(
    ("seed", "count"), [(1, 200), pytest.param(2, 2000, marks=pytest.mark.slow)]
)
def test_mutants(tmp_path, seed, count):
    path = tmp_path / "a.onnx"

    def check(case):
        path.write_bytes(case[1])
        return run_file(path, case[2])

    cases = list(_cases(seed, count))
    assert not failures(outcomes(check, cases), [f"{name}, {engine}" for name, _, engine in cases])


def _edit(path: list, **values):
    """A change of one node, found by the name of its output."""

    def change(model):
        node = next(node for node in model.graph.node if node.output[0] == path[0])
        for name, value in values.items():
            for old in [a for a in node.attribute if a.name == name]:
                node.attribute.remove(old)
            if value is not None:
                node.attribute.append(helper.make_attribute(name, value))

    return change


def _constant(name, value):
    def change(model):
        tensor = next(item for item in model.graph.initializer if item.name == name)
        tensor.CopyFrom(numpy_helper.from_array(value, name))

    return change


def _tensor(name, **fields):
    def change(model):
        tensor = next(item for item in model.graph.initializer if item.name == name)
        for field, value in fields.items():
            if field == "dims":
                tensor.dims[:] = value
            else:
                setattr(tensor, field, value)

    return change


def _graph(action):
    return lambda model: action(model.graph)


def _external(model):
    tensor = model.graph.initializer[1]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    tensor.external_data.add(key="location", value="other.bin")


def _subgraph(model):
    inner = helper.make_graph([], "inner", [], [])
    model.graph.node[3].attribute.append(helper.make_attribute("then_branch", inner))


def _doubling(model):
    last = "both"
    for number in range(60):
        model.graph.node.append(helper.make_node("Concat", [last, last], [f"d{number}"], axis=1))
        last = f"d{number}"
    model.graph.output.append(helper.make_tensor_value_info(last, TensorProto.FLOAT, None))


def _half_inputs(model):
    for item in model.graph.input:
        if item.type.tensor_type.elem_type == TensorProto.FLOAT:
            item.type.tensor_type.elem_type = TensorProto.FLOAT16


def _size(place, value):
    def change(model):
        model.graph.input[place].type.tensor_type.shape.dim[2].dim_value = value

    return change


HOSTILE = {
    "pads that cancel out": _edit(["c2"], pads=[1, 10000000, 1, -9999998]),
    "negative pads": _edit(["c2"], pads=[-1, 0, 0, 0]),
    "pads as wide as the kernel": _edit(["c2"], pads=[3, 3, 3, 3]),
    "two pads": _edit(["c2"], pads=[1, 1]),
    "no strides": _edit(["c0"], strides=[0, 0]),
    "negative strides": _edit(["c0"], strides=[-2, -2]),
    "no groups": _edit(["c2"], group=0),
    "weights of another number of axes": _constant("w3", np.ones(29, np.float32)),
    "weights that are no numbers": _constant("w1", np.full((20, 16, 1, 1), np.nan, np.float32)),
    "small floats": lambda model: setattr(
        model.graph.input[1].type.tensor_type, "elem_type", TensorProto.BFLOAT16
    ),
    "an axis of no length": _size(1, 0),
    "huge groups": _edit(["c2"], group=2**40),
    "no kernel": _edit(["p"], kernel_shape=None),
    "a kernel larger than its map": _edit(["p"], kernel_shape=[60, 60]),
    "auto_pad": _edit(["c2"], auto_pad="SAME_UPPER"),
    "an axis that is not there": _edit(["both"], axis=9),
    "a cast to strings": _edit(["f"], to=TensorProto.STRING),
    "an attribute that nobody knows": _edit(["g"], gamma=1.0),
    "an attribute of another type": _edit(["g"], alpha="x"),
    "more input channels than the map": _constant("w1", np.ones((20, 64, 1, 1), np.float32)),
    "fewer input channels than the map": _constant("w1", np.ones((20, 4, 1, 1), np.float32)),
    "a short bias": _constant("b1", np.ones(3, np.float32)),
    "a long bias": _constant("b2", np.ones(99, np.float32)),
    "a bias of another rank": _constant("b1", np.ones((1, 20, 1, 1), np.float32)),
    "weights of float64": _constant("w1", np.ones((20, 16, 1, 1))),
    "weights without numbers": _constant("w1", np.ones((0, 16, 1, 1), np.float32)),
    "rows of another size": _constant("rows", np.array([-1, 8], np.int64)),
    "rows of a huge size": _constant("rows", np.array([2**62, 7], np.int64)),
    "an offset of other planes": _constant("offset", np.ones((1, 5, 1, 1), np.float32)),
    "truncated numbers": _tensor("w0", raw_data=b"\0" * 10),
    "sizes that overflow": _tensor("w0", dims=[2**62, 2**62, 3, 3]),
    "negative sizes": _tensor("w0", dims=[-16, -3, 3, 3]),
    "strings": _tensor("w0", data_type=TensorProto.STRING),
    "external data": _external,
    "a subgraph": _subgraph,
    "a tensor made twice": _graph(lambda g: g.node.append(g.node[2])),
    "a constant made again": _graph(lambda g: g.node[2].output.__setitem__(0, "w1")),
    "an input made again": _graph(lambda g: g.node[2].output.__setitem__(0, "state")),
    "a cycle": _graph(lambda g: g.node[4].input.__setitem__(0, "c2")),
    "an input twice": _graph(lambda g: g.input.append(g.input[0])),
    "a missing input": _graph(lambda g: g.input.pop()),
    "an output twice": _graph(lambda g: g.output.append(g.output[0])),
    "an output that nothing makes": _graph(lambda g: setattr(g.output[0], "name", "no")),
    "a constant as output": _graph(
        lambda g: g.output.append(helper.make_tensor_value_info("b1", TensorProto.FLOAT, [20]))
    ),
    "sparse numbers": _graph(lambda g: g.sparse_initializer.add()),
    "no nodes": _graph(lambda g: g.ClearField("node")),
    "a function": lambda model: model.functions.add(name="f", domain="x"),
    "no opset": lambda model: model.ClearField("opset_import"),
    "an opset of the future": lambda model: setattr(model.opset_import[0], "version", 999),
    "another domain": _graph(lambda g: setattr(g.node[3], "domain", "com.other")),
    "float16 inputs": _half_inputs,
    "an input without rows": _size(1, -5),
    "a huge frame": _size(0, 2**40),
    "doubling without end": _doubling,
}
# Right as they are, or for another engine than ours: these need not be refused by `auto`.
_MAY_RUN = {"auto_pad", "weights that are no numbers", "a constant as output"}


@pytest.mark.parametrize("engine", ["auto", "compiled", "onnxruntime"])
def test_crafted_files(tmp_path, engine):
    path = tmp_path / "a.onnx"

    def check(name):
        model = step_program()
        HOSTILE[name](model)
        path.write_bytes(model.SerializeToString())
        return run_file(path, engine)

    results = outcomes(check, list(HOSTILE))
    assert not failures(results, list(HOSTILE))
    ran = {name for name, result in zip(HOSTILE, results, strict=True) if result.kind == "ok"}
    assert ran <= (set() if engine == "compiled" else _MAY_RUN)

"""ONNX files in QDQ form, and how the compiled engine is held against ONNX Runtime on them."""

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from robustness.shared_streams import run_shared, shared_engine

from paddlevideo.runtime.engines import EngineOptions
from paddlevideo.runtime.engines.compiled.engine import CompiledEngine, read_program

CPU = EngineOptions(device="cpu", cpu_threads=1, engine="compiled")


class Rounded:
    """An ONNX file in QDQ form, as `paddlevideo.export.quantization` writes it."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.constants, self.inputs = [], {}, {}

    def input(self, name, shape, kind=TensorProto.FLOAT):
        self.inputs[name] = (shape, kind)
        return name

    def node(self, kind, inputs, output, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def round(self, x, scale, zero):
        self.constants |= {f"{x}_s": np.float32(scale), f"{x}_z": np.uint8(zero)}
        pair = [f"{x}_s", f"{x}_z"]
        self.node("QuantizeLinear", [x, *pair], f"{x}_q")
        return self.node("DequantizeLinear", [f"{x}_q", *pair], f"{x}_r")

    def weights(self, name, shape, input_scale, largest=127):
        """int8 weights and int32 bias with a scale for each channel; the first take the largest."""
        whole = self.rng.integers(-127, 128, shape).astype(np.int8)
        whole[0] = largest
        scale = self.rng.uniform(0.002, 0.02, shape[0]).astype(np.float32)
        bias = self.rng.integers(-2000, 2000, shape[0]).astype(np.int32)
        parts = {"w": (whole, scale), "b": (bias, scale * np.float32(input_scale))}
        for part, (integers, steps) in parts.items():
            prefix = f"{name}{part}"
            self.constants |= {
                f"{prefix}_i": integers, f"{prefix}_s": steps,
                f"{prefix}_z": np.zeros(shape[0], integers.dtype),
            }  # fmt: skip
            inputs = [f"{prefix}_i", f"{prefix}_s", f"{prefix}_z"]
            self.node("DequantizeLinear", inputs, prefix, axis=0)
        return [f"{name}w", f"{name}b"]

    def save(self, path, outputs):
        def info(name, shape, kind):
            return helper.make_tensor_value_info(name, kind, ["batch", *shape])

        graph = helper.make_graph(
            self.nodes, "g",
            [info(name, *given) for name, given in self.inputs.items()],
            [info(name, shape, TensorProto.FLOAT) for name, shape in outputs.items()],
            [numpy_helper.from_array(np.asarray(v), n) for n, v in self.constants.items()],
        )  # fmt: skip
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 8
        onnx.checker.check_model(model)
        onnx.save(model, str(path))
        return path


def agree(monkeypatch, path, feeds, step, kinds=()):
    """ONNX Runtime's results but for halves that fall on the other side; NumPy's, each operation.

    Those of one, two and three threads are the same.

    Args:
        step: of the outputs' rounding.
        kinds: operations that the program must have.
    """
    assert set(kinds) <= {item.kind for item in read_program(path).operations}
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    chosen = "paddlevideo.runtime.engines.compiled.integer_choice.integers_are_faster"
    monkeypatch.setattr(chosen, lambda _run: True)  # whatever is faster here
    with monkeypatch.context() as patch:
        patch.setenv("PADDLEVIDEO_CHECK", "1")
        checked = shared_engine(path, names, 2).run(feeds)
    ours = CompiledEngine(path, names, CPU).run(feeds)
    shared = run_shared(shared_engine(path, names, 3), feeds)
    for name, expected in zip(names, session.run(None, feeds), strict=True):
        np.testing.assert_array_equal(ours[name], checked[name])
        np.testing.assert_array_equal(ours[name], shared[name])
        difference = np.abs(ours[name] - expected)
        assert difference.max() <= 1.01 * step, (name, difference.max(), step)
        others = int((difference > 0.01 * step).sum())
        assert others <= 1 + 0.002 * difference.size, (name, others, difference.size)

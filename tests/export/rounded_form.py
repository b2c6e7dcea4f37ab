"""The form in which a step program says that a stream's frames lie on 8 bits."""

import numpy as np
from onnx import GraphProto, NodeProto, numpy_helper

from paddlevideo.runtime.manifest import StepProgram


def rounded_states(graph: GraphProto, step: StepProgram) -> list[str]:
    """Names of the queues whose past maps are read rounded, after a check of each.

    Every past map is read by its QuantizeLinear alone, and the newest is made by a
    DequantizeLinear; the constants of all of them have the same bits.
    """
    makers = {name: node for node in graph.node for name in node.output}
    readers: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    constants = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}

    def bits(node: NodeProto) -> list[bytes]:
        scale, zero = (constants[name] for name in node.input[1:])
        assert (scale.dtype, zero.dtype) == (np.float32, np.uint8)
        assert scale.shape == zero.shape == ()
        return [scale.tobytes(), zero.tobytes()]

    found = []
    for queue in step.queues:
        first = [node.op_type for name in queue.inputs for node in readers[name]]
        if "QuantizeLinear" not in first:
            continue
        assert first == ["QuantizeLinear"] * queue.length, queue.name
        found.append(queue.name)
        back = makers[queue.output]
        assert back.op_type == "DequantizeLinear", queue.name
        rounding = makers[back.input[0]]
        assert rounding.op_type == "QuantizeLinear" and bits(rounding) == bits(back)
        assert len(readers[rounding.input[0]]) == 1  # all read what is rounded, and once
        assert "QuantizeLinear" not in [node.op_type for node in readers[queue.output]]
        for name in queue.inputs:
            (past,) = readers[name]
            (behind,) = readers[past.output[0]]
            assert behind.op_type == "DequantizeLinear"
            assert bits(past) == bits(behind) == bits(back)
    return found

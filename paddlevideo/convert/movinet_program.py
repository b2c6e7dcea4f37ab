"""A MoViNet found in an exported program, folded: of a whole clip, or of one frame and states.

The search goes from the logits back to the picture, by what operations do and who reads whose
result; names and the order of the operations do not matter.
"""

from collections.abc import Sequence

import numpy as np

from paddlevideo.convert.folded_network import Block, Gate, Network, network_of
from paddlevideo.convert.paddle_program import Operation, Program
from paddlevideo.convert.program_layers import Layer, joined, layer_at


class NetworkFinder:
    """Recognises the network of a program.

    Args:
        queues: the names of the program's inputs of each state, from the oldest to the newest;
            none for a program of whole clips.
    """

    def __init__(self, program: Program, queues: Sequence[Sequence[str]]) -> None:
        self.program = program
        self._queue_of = {name: tuple(queue) for queue in queues for name in queue}

    def network(self) -> Network[Layer]:
        """The one network.

        Raises:
            ValueError: it is no folded MoViNet; the text says where the search ended.
        """
        program = self.program
        classifier = self._pointwise(program.result(0), "what gives the logits", "identity")
        dense = self._pointwise(classifier.input, "the classifier's input")
        over_time = self._over_time(dense.input)
        maps = None if over_time is None else self._spatial_mean(over_time[0])
        if maps is None:
            raise ValueError("the head takes no mean over time and space")
        project = self._pointwise(maps, "what the head takes the mean of")
        blocks: list[Block[Layer]] = []
        value = project.input
        while (block := self._block(value)) is not None:
            blocks.insert(0, block)
            value = block.input
        stem = layer_at(program, value)
        if stem is None or stem.kernel_shape[1:] != (3, 3, 3) or stem.stride != (2, 2):
            raise ValueError(
                f"{len(blocks)} bottlenecks are found, and before them neither another nor a stem"
            )
        frames = [len(self.kernel_frames(block.temporal or block.spatial)) for block in blocks]
        hint = ", or clips too short for whole kernels"
        return network_of(stem, blocks, (project, dense, classifier), frames, hint)

    def kernel_frames(self, layer: Layer) -> list[tuple[int, int]]:
        """The frames of a kernel in order: the offset of each, 0 the frame itself, and its number.

        Raises:
            ValueError: a frame of the kernel is missing.
        """
        own, *others = layer.taps
        if others and others[0].state is not None:
            names = self._queue_of.get(others[0].state, ())
            offsets = {name: index - len(names) for index, name in enumerate(names)}
            if {tap.state for tap in others} != set(names) or len(others) != len(names):
                raise ValueError("a convolution does not see all frames of its state")
            past = sorted((offsets[str(tap.state)], tap.kernel) for tap in others)
            return [*past, (0, own.kernel)]
        frames = sorted((tap.move, tap.kernel) for tap in layer.taps)
        moves = [move for move, _ in frames]
        if moves != list(range(moves[0], moves[0] + len(moves))):
            raise ValueError("a convolution over time misses a frame of its kernel")
        return frames

    def _pointwise(self, number: int, what: str, activation: str | None = None) -> Layer:
        layer = layer_at(self.program, number)
        if layer is None or not layer.is_pointwise:
            raise ValueError(f"{what} is no 1x1 convolution with a bias")
        if activation not in (None, layer.activation):
            raise ValueError(f"{what} has an activation, {layer.activation}")
        return layer

    def _block(self, number: int) -> Block[Layer] | None:
        """The bottleneck whose result a value is; None where it is none's."""
        maker = self.program.maker(number, "add")
        for branch, other in () if maker is None else (maker.inputs, maker.inputs[::-1]):
            project = layer_at(self.program, branch)
            if project is None or not project.is_pointwise or project.activation != "identity":
                continue
            gated = self._gated(project.input)
            if gated is None:
                continue
            gate, last = gated
            spatial, temporal = last, None
            if last.kernel_shape[2:] == (1, 1):
                found = layer_at(self.program, last.input)
                if found is None or not found.is_depthwise:
                    raise ValueError("a temporal convolution does not follow a spatial one")
                spatial, temporal = found, last
            expand = self._pointwise(spatial.input, "what a depthwise convolution reads")
            shortcut = self._shortcut(other, expand.input)
            return Block(expand, spatial, temporal, gate, project, shortcut, expand.input)
        return None

    def _gated(self, number: int) -> tuple[Gate[Layer] | None, Layer] | None:
        """The gate of a value, and the depthwise convolution that it is of; None if it is none."""
        layer = layer_at(self.program, number)
        if layer is not None and layer.is_depthwise:
            return None, layer
        maker = self.program.maker(number, "multiply")
        for value, gate in () if maker is None else (maker.inputs, maker.inputs[::-1]):
            layer = layer_at(self.program, value)
            if layer is not None and layer.is_depthwise:
                return self._gate(gate, value), layer
        return None

    def _gate(self, number: int, gated: int) -> Gate[Layer]:
        expand = self._pointwise(number, "a gate")
        reduce = self._pointwise(expand.input, "the inner layer of a gate")
        pooled, positions = reduce.input, None
        maker = self.program.maker(pooled, "add")
        if maker is not None and self._over_time(pooled) is None:
            pooled, positions = maker.inputs[0], self._positions(maker.inputs[1])
        parts = joined(self.program, pooled, axis=1) or joined(self.program, pooled, axis=2)
        over_time = self._over_time(parts[0] if len(parts) == 2 else pooled)
        kind, frame = "2d", pooled
        if over_time is not None:
            kind, frame = ("2plus3d" if parts else "3d"), over_time[0]
        same = not parts or self.program.source(parts[-1]) == self.program.source(frame)
        if not same or self._spatial_mean(frame) != self.program.source(gated):
            raise ValueError("a gate sees no mean of what it gates")
        sees_future = None if over_time is None else over_time[1]
        return Gate(
            reduce,
            expand,
            kind,
            expand.activation,
            factor=expand.factor,
            positions=positions,
            sees_future=sees_future,
        )

    def _over_time(self, number: int) -> tuple[int, bool] | None:
        """What is averaged over time, and whether over the whole clip; None: nothing is."""
        product = self.program.maker(number, "matmul")
        if product is not None:
            return self._matrix_mean(*product.inputs)
        product = self.program.maker(number, "multiply")
        for total, factor in () if product is None else (product.inputs, product.inputs[::-1]):
            if self.program.maker(factor, "reciprocal") is not None:
                return self._running_sum(total), False
        return None

    def _matrix_mean(self, weights: int, values: int) -> tuple[int, bool]:
        if not self.program.is_parameter(weights):
            raise ValueError("a product with no fixed matrix")
        matrix = self.program.array(weights)
        frames = matrix.shape[-1]
        whole = np.full_like(matrix, 1.0 / frames)
        up_to_each = np.tri(frames) / np.arange(1, frames + 1)[:, None]
        if np.allclose(matrix, whole, rtol=1e-3):
            return values, True
        if matrix.shape == up_to_each.shape and np.allclose(matrix, up_to_each, rtol=1e-3):
            return values, False
        raise ValueError("a product with a matrix that gives no mean over time")

    def _running_sum(self, number: int) -> int:
        """The one value that is added to states."""
        found, waiting = [], [number]
        while waiting:
            value = waiting.pop()
            maker = self.program.maker(value, "add")
            if maker is not None:
                waiting += maker.inputs
            elif self.program.input_name(value) not in self._queue_of:
                found.append(value)
        if len(found) != 1:
            raise ValueError(f"a running mean is of {len(found)} values and its states")
        return found[0]

    def _positions(self, number: int) -> float:
        """The factor of a positional encoding; the first frame's cosines are all 1."""
        if self.program.is_parameter(number):
            encoding = self.program.array(number)
            cosines = encoding[0, 0, encoding.shape[2] // 2 :]
            if np.ptp(cosines) > 1e-6 * max(1.0, float(np.abs(cosines).max())):
                raise ValueError("what is added to a gate's mean is no positional encoding")
            return float(cosines[0])
        product = self.program.maker(number, "multiply")
        for waves, scale in () if product is None else (product.inputs, product.inputs[::-1]):
            kinds = [
                self.program.maker(part, "sin", "cos") for part in joined(self.program, waves, 1)
            ]
            if self.program.is_parameter(scale) and [k and k.kind for k in kinds] == ["sin", "cos"]:
                for rate in self.program.needed(waves):
                    if self.program.is_parameter(rate):
                        self.program.array(rate)
                return float(self.program.array(scale).reshape(-1)[0])
        raise ValueError("what is added to a gate's mean is no positional encoding")

    def _spatial_mean(self, number: int) -> int | None:
        pool = self.program.maker(number, "pool2d")
        if pool is None or not pool.attributes["adaptive"] or not _is_mean(pool):
            return None
        return self.program.source(pool.inputs[0])

    def _shortcut(self, number: int, block_input: int) -> Layer | None:
        if self.program.source(number) == block_input:
            return None
        layer = self._pointwise(number, "a shortcut", "identity")
        source = layer.input
        pool = self.program.maker(source, "pool2d")
        if pool is not None and _is_mean(pool) and source != block_input:
            if self.program.constant(pool.inputs[1]) != [3, 3] or pool.attributes["adaptive"]:
                raise ValueError("a shortcut's pooling is not 3x3")
            source = self.program.source(pool.inputs[0])
        if source != block_input:
            raise ValueError("a shortcut does not start where its bottleneck does")
        return layer

    def offset(self, picture: int) -> int | None:
        """The parameter that is added to the pixels, which the stem must read; None: there is none.

        Raises:
            ValueError: ``picture`` is not made of the program's one input beside states.
        """
        maker = self.program.maker(picture, "add")
        offset = None
        if maker is not None and self.program.is_parameter(maker.inputs[1]):
            picture, offset = maker.inputs[0], maker.inputs[1]
        name = self.program.input_name(picture)
        if name is None or name in self._queue_of:
            raise ValueError("the stem does not read the picture")
        return offset


def _is_mean(pool: Operation) -> bool:
    return bool(pool.attributes["pooling_type"] == "avg" and pool.attributes["exclusive"])

"""A classifier of vectors: dense, activation, dropout, classifier (docs/movinet.md)."""

import paddle.nn.functional as F
from paddle import Tensor, nn

from paddlevideo.modeling.interfaces import Head
from paddlevideo.modeling.layers.activations import activation as activation_by_name
from paddlevideo.modeling.layers.folding import dense_as_convolution
from paddlevideo.modeling.layers.initializers import he_normal, normal
from paddlevideo.modeling.layers.rounding import (
    FixedRounding,
    FixedRoundings,
    Quantization,
    RoundedActivation,
    Rounding,
    is_on,
    round_dense,
    rounded_linear,
)
from paddlevideo.modeling.registry import HEADS
from paddlevideo.utils.errors import ConfigError, DataError
from paddlevideo.utils.ranges import ClassCount, DropRate, LayerWidth

_CLASSIFIER_STD = 0.01


@HEADS.register
class ClassifierHead(Head):
    """[B, ``in_channels``] to logits [B, ``num_classes``].

    One vector per frame, [B, T, ``in_channels``], is classified where there is one frame.

    Args:
        in_channels, in_axes: given by the backbone.
        num_classes: at least 2.
        hidden_dim: width of the dense layer.
        activation: of the dense layer; swish in the released float models, streams too, and relu6
            in the int8 ones for phones.
        dropout: before the classifier, in training.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: ClassCount = 400,
        hidden_dim: LayerWidth = 2048,
        activation: str = "swish",
        dropout: DropRate = 0.2,
        in_axes: str = "BC",
    ) -> None:
        super().__init__(num_classes)
        if num_classes < 2:
            raise ConfigError(f"num_classes is {num_classes}; a classifier needs at least 2")
        if not 0.0 <= dropout < 1.0:
            raise ConfigError(f"dropout is {dropout}, expected [0, 1)")
        if in_axes not in ("BC", "BTC"):
            raise ConfigError(
                f"a classifier needs vectors, the backbone gives {in_axes}; "
                "average_pooling_type: none is for the backbone alone"
            )
        self.dense = nn.Linear(in_channels, hidden_dim, weight_attr=he_normal(in_channels))
        self.classifier = nn.Linear(hidden_dim, num_classes, weight_attr=normal(_CLASSIFIER_STD))
        self.dropout = nn.Dropout(dropout)
        self.activation_name = activation
        self._activation = activation_by_name(activation)
        self.quantization: Quantization | None = None

    def quantize(self, quantization: Quantization) -> None:
        """Give the head roundings: of both kernels, its input and the vector in the middle.

        Logits are not rounded.
        """
        self.quantization = quantization
        self.rounded_input = Rounding(quantization)
        self.rounded_hidden = RoundedActivation(self.activation_name, quantization)

    def class_axes(self) -> dict[str, int]:
        """The parameters whose shape follows the number of classes, and which axis does."""
        return {"classifier.weight": 1, "classifier.bias": 0}

    def built_with(self) -> dict[str, object]:
        """Number of classes and activation."""
        return {**super().built_with(), "activation": self.activation_name}

    def forward(self, x_BC: Tensor) -> Tensor:
        """Return logits, no softmax.

        Raises:
            DataError: there is more than one frame and no mean over time.
        """
        if x_BC.ndim == 3:
            if x_BC.shape[1] != 1:
                raise DataError(
                    f"{x_BC.shape[1]} frames give as many vectors, and one is classified: with "
                    "average_pooling_type: 2d give one frame at a time, or use 3d"
                )
            x_BC = x_BC.squeeze(1)
        if not is_on(self.quantization):
            return self.classifier(self.dropout(self._activation(self.dense(x_BC))))
        hidden = rounded_linear(self.dense, self.rounded_input(x_BC))
        hidden = self.rounded_hidden(hidden, self._activation)
        return rounded_linear(self.classifier, self.dropout(hidden))

    def as_convolutions(self) -> nn.Layer:
        """The head for maps of one position, [B, ``in_channels``, 1, 1] to logits; no dropout.

        The weights are copied. An exported step keeps four axes up to the logits.
        """
        return _ConvolutionalHead(self)


class _ConvolutionalHead(nn.Layer):
    """A `ClassifierHead` of which both dense layers are 1x1 convolutions."""

    def __init__(self, head: ClassifierHead) -> None:
        super().__init__()
        self.dense, self.dense_bias = dense_as_convolution(head.dense)
        self.classifier, self.classifier_bias = dense_as_convolution(head.classifier)
        self.num_classes = head.num_classes
        self._activation = head._activation
        self.rounded_input, self.rounded_hidden = FixedRounding(None), FixedRoundings()
        if is_on(head.quantization):
            round_dense(self.dense)
            round_dense(self.classifier)
            self.rounded_input = head.rounded_input.deployed()
            self.rounded_hidden = head.rounded_hidden.deployed()

    def forward(self, x_BC11: Tensor) -> Tensor:
        hidden = F.conv2d(self.rounded_input(x_BC11), self.dense, self.dense_bias)
        hidden = self.rounded_hidden(hidden, self._activation)
        logits = F.conv2d(hidden, self.classifier, self.classifier_bias)
        return logits.reshape([-1, self.num_classes])  # flatten asks for the batch size

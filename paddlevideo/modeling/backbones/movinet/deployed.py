"""A MoViNet as a program for clips, or for single frames: the same answer in less time."""

from typing import TYPE_CHECKING

import paddle.nn.functional as F
from paddle import Tensor, nn

from paddlevideo.modeling.layers.convolution import FoldedStem
from paddlevideo.modeling.layers.deployment import Deployment, StepContext
from paddlevideo.modeling.layers.input_scaling import InputScaling
from paddlevideo.modeling.layers.padding import Size

if TYPE_CHECKING:
    from paddlevideo.modeling.backbones.movinet.backbone import MoViNet


class DeployedMoViNet(nn.Layer):
    """Frames of pixels [N, 3, H, W] to the mean over each clip or stream, [B, C, 1, 1].

    Args:
        backbone: with its weights; they are copied.
        size: height and width of the frames.
        scaling: of the pixels' values.
    """

    def __init__(
        self, backbone: "MoViNet", deployment: Deployment, size: Size, scaling: InputScaling
    ) -> None:
        super().__init__()
        self.deployment = deployment
        stem, *blocks, project = (
            layer.deployed(deployment, at) for layer, at in backbone.walk(size)
        )
        self.stem, self.blocks = FoldedStem(scaling, stem), nn.LayerList(blocks)
        self.project = project
        self.pool = backbone.pool.deployed(deployment, last_only=True)

    def forward(self, x_NCHW: Tensor, context: StepContext | None = None) -> Tensor:
        """Return [B, C, 1, 1]."""
        x = self.stem(x_NCHW)
        for block in self.blocks:
            x = block(x, context)
        pooled = self.deployment.by_frame(F.adaptive_avg_pool2d(self.project(x), 1))
        return self.deployment.as_maps(self.pool(pooled, context))

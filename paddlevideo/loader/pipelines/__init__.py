"""The steps from a video to a clip, built from one YAML description."""

from paddlevideo.loader.pipelines.array import Image2Array, Normalization
from paddlevideo.loader.pipelines.base import SAMPLERS, TRANSFORMS, FrameSampler, Transform
from paddlevideo.loader.pipelines.colour import ColorJitter
from paddlevideo.loader.pipelines.crop import CenterCrop, RandomCrop
from paddlevideo.loader.pipelines.description import described_views, for_video_files
from paddlevideo.loader.pipelines.flip import RandomFlip
from paddlevideo.loader.pipelines.freeze import FreezeFrame
from paddlevideo.loader.pipelines.multi_scale_crop import MultiScaleCrop
from paddlevideo.loader.pipelines.pipeline import Pipeline
from paddlevideo.loader.pipelines.random_resized_crop import RandomResizedCrop
from paddlevideo.loader.pipelines.sampling import Sampler
from paddlevideo.loader.pipelines.scale import Resize, Scale
from paddlevideo.loader.pipelines.shift import RandomShift
from paddlevideo.loader.pipelines.strided import StridedSampler
from paddlevideo.loader.pipelines.uniform import UniformSampler
from paddlevideo.loader.pipelines.view import ClipView

__all__ = [
    "SAMPLERS",
    "TRANSFORMS",
    "CenterCrop",
    "ClipView",
    "ColorJitter",
    "FrameSampler",
    "FreezeFrame",
    "Image2Array",
    "MultiScaleCrop",
    "Normalization",
    "Pipeline",
    "RandomCrop",
    "RandomFlip",
    "RandomResizedCrop",
    "RandomShift",
    "Resize",
    "Sampler",
    "Scale",
    "StridedSampler",
    "Transform",
    "UniformSampler",
    "described_views",
    "for_video_files",
]

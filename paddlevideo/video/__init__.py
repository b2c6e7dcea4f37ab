"""The steps from a video to a clip, built from one YAML description.

May import ``utils`` only, never Paddle. Begin reading in `pipeline`.
"""

from paddlevideo.video.clip_input import ClipInput
from paddlevideo.video.decoders import DECODERS, FrameSource
from paddlevideo.video.description import described_inputs, for_video_files
from paddlevideo.video.pipeline import Pipeline
from paddlevideo.video.sample import Record, Sample
from paddlevideo.video.samplers.segments import Sampler
from paddlevideo.video.samplers.strided import StridedSampler
from paddlevideo.video.samplers.uniform import UniformSampler
from paddlevideo.video.steps import SAMPLERS, TRANSFORMS, FrameSampler, Transform
from paddlevideo.video.transforms.colour import ColorJitter
from paddlevideo.video.transforms.crop import CenterCrop, RandomCrop
from paddlevideo.video.transforms.flip import RandomFlip
from paddlevideo.video.transforms.freeze import FreezeFrame
from paddlevideo.video.transforms.layout import Image2Array, Normalization
from paddlevideo.video.transforms.multi_crop import TenCrop, UniformCrop
from paddlevideo.video.transforms.multi_scale_crop import MultiScaleCrop
from paddlevideo.video.transforms.random_resized_crop import RandomResizedCrop
from paddlevideo.video.transforms.scale import Resize, Scale
from paddlevideo.video.transforms.shift import RandomShift

__all__ = [
    "DECODERS",
    "SAMPLERS",
    "TRANSFORMS",
    "CenterCrop",
    "ClipInput",
    "ColorJitter",
    "FrameSampler",
    "FrameSource",
    "FreezeFrame",
    "Image2Array",
    "MultiScaleCrop",
    "Normalization",
    "Pipeline",
    "RandomCrop",
    "RandomFlip",
    "RandomResizedCrop",
    "RandomShift",
    "Record",
    "Resize",
    "Sample",
    "Sampler",
    "Scale",
    "StridedSampler",
    "TenCrop",
    "Transform",
    "UniformCrop",
    "UniformSampler",
    "described_inputs",
    "for_video_files",
]

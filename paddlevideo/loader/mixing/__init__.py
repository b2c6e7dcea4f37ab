"""Mixing the clips of a batch, and their labels. One file each.

May import what ``loader`` may. Begin reading in `mix`.
"""

from paddlevideo.loader.mixing.cutmix import Cutmix
from paddlevideo.loader.mixing.mix import MIXES, BatchMix
from paddlevideo.loader.mixing.mixup import Mixup
from paddlevideo.loader.mixing.switch_mix import SwitchMix
from paddlevideo.loader.mixing.video_mix import VideoMix

__all__ = ["MIXES", "BatchMix", "Cutmix", "Mixup", "SwitchMix", "VideoMix"]

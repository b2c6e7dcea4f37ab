"""PaddleVideo's configuration keys, translated into ours when a file is read."""

import copy
import logging
from collections.abc import Mapping

from paddlevideo.modeling import RECOGNIZERS
from paddlevideo.utils.errors import ConfigError, nearest_hint, shown
from paddlevideo.utils.nodes import Node, ReadNode

logger = logging.getLogger(__name__)

_MOVINET = "MoViNetRecognizerFrame"
_HEAD, _HEAD_THERE = "ClassifierHead", "MoViNetHead"
# Switches of PaddleVideo that change nothing when off; on, they ask for what is not here.
_OFF_SWITCHES = ("use_npu", "use_xpu", "use_mlu", "to_static", "is_distributed")
_IMAGENET_MEAN, _IMAGENET_STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
_INFERENCE_HELPERS = ("ppTSM_Inference_helper", "ppTSN_Inference_helper")


def translate_config(config: ReadNode) -> Node:
    """Return ``config`` in our vocabulary; one that is already ours comes back unchanged.

    Raises:
        ConfigError: a switch asks for hardware or a mode that is not available here.
    """
    translated = copy.deepcopy(dict(config))
    notes: list[str] = []
    _switches(translated, notes)
    _model(translated, notes)
    _head_name(translated.get("MODEL"), "MODEL", notes)
    _inference(translated, notes)
    _pipelines(translated, notes)
    _mix(translated, notes)
    for note in notes:
        logger.info("config: %s", note)
    return translated


def _switches(config: Node, notes: list[str]) -> None:
    for key in _OFF_SWITCHES:
        if config.pop(key, False):
            raise ConfigError(f"{key}: true is not available; remove the key")
    if "use_gpu" in config:
        wants_gpu = bool(config.pop("use_gpu"))
        config.setdefault("device", "auto" if wants_gpu else "cpu")
        notes.append(f"use_gpu is read as device: {config['device']}")


def _model(config: Node, notes: list[str]) -> None:
    model = config.get("MODEL")
    if not isinstance(model, dict):
        return
    _refuse_other_models(model.get("framework"))
    backbone = model.get("backbone")
    if not isinstance(backbone, dict):
        return
    is_paddlevideo = model.get("framework") == _MOVINET
    if is_paddlevideo:
        model.setdefault("head", {"name": _HEAD})
    for key in ("num_classes", "hidden_dim"):
        if key in backbone:
            head = model.setdefault("head", {})
            if isinstance(head, dict):
                value = backbone.pop(key)
                head.setdefault(key, value)
                notes.append(f"MODEL.backbone.{key} is read as MODEL.head.{key}: {head[key]}")
    if backbone.get("pretrained"):
        config.setdefault("weights", backbone["pretrained"])
        notes.append("MODEL.backbone.pretrained is read as weights")
    backbone.pop("pretrained", None)
    if is_paddlevideo:
        model["framework"] = "ClipRecognizer"
        _movinet_of_paddlevideo(backbone, notes)
        _decay_after_clip(config.get("OPTIMIZER"), notes)
        if _lists_normalization(config):
            model.setdefault("scaling", {"scale": 1.0})
            notes.append("values are scaled by the pipeline's Normalization, not by the model")


def _head_name(model: object, where: str, notes: list[str]) -> None:
    """PaddleVideo's name of the head, of the model and of every member of an ensemble."""
    if not isinstance(model, dict):
        return
    head, members = model.get("head"), model.get("members")
    if isinstance(head, dict) and head.get("name") == _HEAD_THERE:
        head["name"] = _HEAD
        notes.append(f"{where}.head.name: {_HEAD_THERE} is read as {_HEAD}")
    for name, member in members.items() if isinstance(members, dict) else ():
        _head_name(member, f"{where}.members.{name}", notes)


def _refuse_other_models(framework: object) -> None:
    """Of PaddleVideo's models one is served; a file of another is refused, with these names."""
    known = (*RECOGNIZERS, _MOVINET)
    if isinstance(framework, str) and framework not in known:
        raise ConfigError(
            f"MODEL.framework: {framework[:100]} is no recognizer here. Of PaddleVideo's models "
            f"MoViNet is served ({_MOVINET}); {nearest_hint(framework, known)}"
        )


def _movinet_of_paddlevideo(backbone: Node, notes: list[str]) -> None:
    """The network that the framework name stands for (docs/movinet.md)."""
    defaults: Node = {"padding": "paddlevideo", "bn_epsilon": 1e-5}
    if backbone.setdefault("causal", True):
        defaults["se_type"] = "2plus3d"
    if backbone.get("conv_type") == "2plus1d":
        defaults.update(activation="hard_swish", gating_activation="hard_sigmoid")
    for key, value in defaults.items():
        backbone.setdefault(key, value)
    shown = ", ".join(f"{key} {backbone[key]}" for key in defaults)
    notes.append(f"MoViNetRecognizerFrame is PaddleVideo's network: {shown}")


def _decay_after_clip(optimizer: object, notes: list[str]) -> None:
    """Paddle's regularisers add the decay to gradients that are clipped already."""
    if not isinstance(optimizer, dict) or not optimizer.get("grad_clip"):
        return
    decay = optimizer.get("weight_decay")
    if isinstance(decay, (int, float)):
        decay = optimizer["weight_decay"] = {"name": "L2", "value": decay}
    if isinstance(decay, dict) and decay.setdefault("before_clip", False) is False:
        notes.append("weight decay is added after grad_clip, as PaddleVideo does")


def _lists_normalization(config: ReadNode) -> bool:
    steps = [step for _, pipeline in _splits(config) for step in _as_list(pipeline, "transform")]
    return any(isinstance(step, (str, Mapping)) and "Normalization" in step for step in steps)


def _splits(config: ReadNode) -> list[tuple[str, Node]]:
    """The pipelines by split. What is none is left to the recipe, whose errors say where."""
    pipelines = config.get("PIPELINE")
    items = pipelines.items() if isinstance(pipelines, Mapping) else ()
    return [(split, pipeline) for split, pipeline in items if isinstance(pipeline, dict)]


def _as_list(pipeline: ReadNode, key: str) -> list[object]:
    value = pipeline.get(key)
    return value if isinstance(value, list) else []


def _pipelines(config: Node, notes: list[str]) -> None:
    """Drop the choice between PIL images and arrays: clips are arrays throughout."""
    for split, pipeline in _splits(config):
        sample = pipeline.get("sample")
        if isinstance(sample, dict) and sample.pop("use_pil", None) is not None:
            notes.append(f"PIPELINE.{split}.sample.use_pil is dropped: clips are always arrays")


def _mix(config: Node, notes: list[str]) -> None:
    """PaddleVideo's VideoMix is CutMix or mixup by chance; here it is what its paper calls so."""
    section = config.get("MIX")
    keys = ("cutmix_prob", "mixup_alpha", "cutmix_alpha")
    if not isinstance(section, dict) or section.get("name") != "VideoMix":
        return
    if not any(key in section for key in keys):
        return
    chance, mixup_alpha, cutmix_alpha = (
        section.pop(key, default) for key, default in zip(keys, (0.5, 0.2, 1.0), strict=True)
    )
    cutmix = {"name": "Cutmix", "alpha": cutmix_alpha}
    mixes = [cutmix, {"name": "Mixup", "alpha": mixup_alpha}]
    if not isinstance(chance, (int, float)) or not 0 < chance <= 1:
        raise ConfigError(f"MIX.cutmix_prob: expected a probability above 0, got {shown(chance)}")
    if chance == 1:
        section.update(cutmix)
    else:
        section.update(name="SwitchMix", mixes=mixes, weights=[chance, 1 - chance])
    notes.append(f"MIX: PaddleVideo's VideoMix is read as {section['name']}")


def _inference(config: Node, notes: list[str]) -> None:
    """PaddleVideo's helper class builds its own preprocessing; here that is a pipeline."""
    section = config.get("INFERENCE")
    if not isinstance(section, Mapping) or section.get("name") not in _INFERENCE_HELPERS:
        return
    config["INFERENCE"] = {
        "decode": {"name": "VideoDecoder", "backend": "cv2"},
        "sample": {
            "name": "Sampler",
            "num_seg": section.get("num_seg", 8),
            "seg_len": section.get("seg_len", 1),
            "valid_mode": True,
        },
        "transform": [
            {"Scale": {"short_size": section.get("short_size", 256)}},
            {"CenterCrop": {"target_size": section.get("target_size", 224)}},
            {"Image2Array": None},
            {
                "Normalization": {
                    "mean": section.get("mean", _IMAGENET_MEAN),
                    "std": section.get("std", _IMAGENET_STD),
                }
            },
        ],
    }
    notes.append(f"INFERENCE {section['name']} is read as the pipeline it stands for")

"""What the page does to a frame: the steps of the bundle's pipeline as plain numbers.

The page has these steps in JavaScript, with the arithmetic of the libraries that compute them here
(``assets/js/resize.js``). A pipeline with any other step is refused.
"""

from collections.abc import Callable, Mapping

from paddlevideo.utils.errors import BundleError
from paddlevideo.utils.nodes import Node
from paddlevideo.video import ClipInput
from paddlevideo.video.steps import Transform
from paddlevideo.video.transforms.crop import CenterCrop
from paddlevideo.video.transforms.layout import Image2Array, Normalization
from paddlevideo.video.transforms.scale import Resize, Scale

PageStep = Mapping[str, object]


def page_steps(clip_input: ClipInput, where: str) -> list[PageStep]:
    """The steps of a pipeline as the page reads them, in order.

    Args:
        clip_input: of the bundle's pipeline.
        where: of the pipeline, for the message.

    Raises:
        BundleError: a step that the page does not know, or a clip in another layout.
    """
    if clip_input.output_layout != "TCHW":
        raise BundleError(f"{where}: the page makes TCHW frames, not {clip_input.output_layout}")
    steps: list[PageStep] = []
    for step in clip_input.transforms:
        if isinstance(step, Image2Array):
            continue  # the page's frames are in planes at last, whatever the steps are
        describe = _STEPS.get(type(step))
        described = None if describe is None else describe(step)
        if described is None:
            raise BundleError(
                f"{where}: {type(step).__name__} with these arguments is not known to the page; "
                "it has Scale, Resize (linear), CenterCrop, Image2Array and Normalization"
            )
        steps.append(described)
    return steps


def _scale(step: Transform) -> Node | None:
    assert isinstance(step, Scale)
    long_side = "square" if step.keep_ratio is False else "rounded" if step.do_round else "floored"
    return {
        "step": "scale",
        "short_size": step.short_size,
        "long_side": "four_thirds" if step.fixed_ratio else long_side,
        "antialias": step.backend == "pillow",
    }


def _resize(step: Transform) -> Node | None:
    assert isinstance(step, Resize)
    if step.averages:
        return None
    return {"step": "resize", "height": step.height, "width": step.width, "antialias": False}


def _center_crop(step: Transform) -> Node | None:
    assert isinstance(step, CenterCrop)
    return {"step": "crop", "size": step.target_size, "round": step.do_round}


def _normalization(step: Transform) -> Node | None:
    assert isinstance(step, Normalization)
    return {
        "step": "normalize",
        "mean": [float(value) for value in step.mean.ravel()],
        "std": [float(value) for value in step.std.ravel()],
    }


_STEPS: Mapping[type[Transform], Callable[[Transform], Node | None]] = {
    Scale: _scale,
    Resize: _resize,
    CenterCrop: _center_crop,
    Normalization: _normalization,
}

"""Compare a model with the options that a weights file shows."""

from paddlevideo.convert.imported import ImportedWeights
from paddlevideo.convert.movinet_folded import FOLDED_EPSILON
from paddlevideo.modeling.builder import model_section
from paddlevideo.modeling.interfaces import Recognizer
from paddlevideo.utils.errors import WeightsError

_CLASSES = "num_classes"


def require_options(imported: ImportedWeights, model: Recognizer, initial: bool = False) -> None:
    """Raise unless ``model`` computes what the network of the file does.

    Args:
        imported: with ``model`` and ``options``, as the file shows them.
        initial: the weights are what training starts from; the number of classes may differ.

    Raises:
        WeightsError: lists every option to set, as a config and as `create_model` take it.
    """
    if imported.model is None:
        return
    section = model_section(imported.model, **imported.options)
    wanted = {f"MODEL.backbone.{key}": value for key, value in section["backbone"].items()}
    wanted["MODEL.head.activation"] = section["head"]["activation"]
    wanted.setdefault("MODEL.backbone.bn_epsilon", FOLDED_EPSILON)
    if not initial:
        wanted[f"MODEL.head.{_CLASSES}"] = section["head"][_CLASSES]
    found = model.built_with()
    if "gating_activation" not in imported.options:  # without gates it does not matter
        wanted.pop("MODEL.backbone.gating_activation", None)
    wrong = [
        f"  {key}: {value} (the model has {found.get(key, 'no such option')})"
        for key, value in wanted.items()
        if found.get(key) != value
    ]
    if wrong:
        arguments = ", ".join(f"{key}={value!r}" for key, value in imported.options.items())
        raise WeightsError(
            f"{imported.source} is of a network with other options; nothing was loaded. Set\n"
            + "\n".join(wrong)
            + f"\nor create_model({imported.model!r}, {arguments})"
        )

"""What commands share: opening a recipe, building its model, training it."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import paddle

from paddlevideo.convert import translate_config, translate_weights
from paddlevideo.convert.published_section import check_section
from paddlevideo.convert.resolve import resolve
from paddlevideo.convert.self_describing import arrays_for, import_self_describing
from paddlevideo.modeling import build_recognizer
from paddlevideo.modeling.device import setup_device
from paddlevideo.modeling.distributed import is_main, setup_distributed
from paddlevideo.modeling.interfaces import MEMBERS, Recognizer
from paddlevideo.tasks.freeze import frozen_layers
from paddlevideo.tasks.recipe import Recipe, parse_recipe
from paddlevideo.tasks.run_folder import LOG_NAME, make_run_folder
from paddlevideo.tasks.run_identity import check_start
from paddlevideo.tasks.schedule_length import follow_the_run
from paddlevideo.tasks.signals import SignalStops
from paddlevideo.tasks.step import Precision
from paddlevideo.tasks.train import Trainer
from paddlevideo.utils.config import read_config
from paddlevideo.utils.errors import WeightsError
from paddlevideo.utils.logging import setup_logging
from paddlevideo.utils.shipped_files import find_config
from paddlevideo.utils.user_modules import IMPORTS_KEY, import_modules
from paddlevideo.weights import load_arrays, load_initial_arrays, read_weights
from paddlevideo.weights.published import find_entry, is_pretrained


def open_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a config, apply ``-o`` overrides, translate PaddleVideo's keys, check it all.

    Where overrides change ``epochs``, the learning-rate schedule follows (`schedule_length`). The
    modules that the config names in ``imports`` are imported: here alone, for a config that the
    user runs; who only reads one (`read_config`) imports nothing.

    Args:
        path: a file, or the name of a shipped config (`find_config`).
    """
    path = find_config(path)
    config = read_config(path, overrides)
    import_modules(config.get(IMPORTS_KEY))
    follow_the_run(config, read_config(path), overrides)
    return parse_recipe(translate_config(config))


Weights = str | Path | Mapping[str, str | Path]


def load_weights(model: Recognizer, weights: Weights, initial: bool = False) -> None:
    """Load weights (ours, PaddleVideo's, or released ones) into ``model``, all of them or nothing.

    A file is a ``.pdparams`` or ``.safetensors`` with our names or PaddleVideo's, or a
    ``.tflite`` or the folder of a bundle, whose network must have the model's options.

    Args:
        weights: a file of the whole model, or the name of released weights
            (`paddlevideo.weights.published`); of an ensemble also one for each member, by its name.
        initial: the weights are what training starts from: they may be those of another number
            of classes, whose classifier is then left out.

    Raises:
        BundleError, WeightsError: a file cannot be read or does not fit.
        DownloadError: released weights cannot be fetched.
    """
    load = load_initial_arrays if initial else load_arrays
    if not isinstance(weights, Mapping):
        load(model, _read(weights, model, initial), str(weights))
        return
    source = ", ".join(f"{name}: {path}" for name, path in weights.items())
    _require_members(weights, list(model.parts()))
    arrays = {
        f"{MEMBERS}.{member}.{name}": array
        for member, path in weights.items()
        for name, array in _read(path).items()
    }
    load(model, arrays, source)


def _require_members(given: Iterable[str], members: Sequence[str]) -> None:
    """Raise `WeightsError` unless there is a file for each member of an ensemble."""
    what = f"weights are given for {', '.join(given)}"
    if not members:
        raise WeightsError(f"{what}, but the model is no ensemble of members; name one file")
    if set(given) != set(members):
        raise WeightsError(f"{what}; the members are {', '.join(members)}, and each needs a file")


def _read(
    path: str | Path, model: Recognizer | None = None, initial: bool = False
) -> dict[str, np.ndarray]:
    """The weights of a file under our names; a file that shows its options is held against them."""
    path = resolve(path)
    imported = import_self_describing(path)
    if imported is None:
        return translate_weights(read_weights(path), str(path))
    return imported.arrays if model is None else arrays_for(imported, model, initial)


def weights_files(weights: Weights | None) -> Weights | None:
    """Return the files of ``weights`` that may be names: beside them lie the names of the classes.

    Raises:
        DownloadError, WeightsError: as `load_weights`.
    """
    if isinstance(weights, Mapping):
        return {member: resolve(path) for member, path in weights.items()}
    return None if weights is None else resolve(weights)


def open_model(recipe: Recipe, weights: Weights | None, initial: bool = False) -> Recognizer:
    """Build the recipe's recognizer from the recipe's seed; load ``weights`` if given.

    Args:
        initial: as in `load_weights`; testing and exporting want every weight.
    """
    paddle.seed(recipe.seed)
    model = build_recognizer(recipe.MODEL)
    frozen_layers(model, recipe.freeze)  # an unknown name is reported before anything is read
    if weights is not None:
        load_weights(model, weights, initial)
        if isinstance(weights, str) and is_pretrained(weights):
            check_section(find_entry(weights), recipe.MODEL)
    return model


def train_recipe(
    recipe: Recipe,
    weights: Weights | None,
    validate: bool,
    precision: Precision | None = None,
    max_iters: int | None = None,
) -> None:
    """Train a recipe in this process, one of those of a launch if there are several.

    Args:
        weights: to start from; None: the recipe's own, if any.
        validate: evaluate the split ``valid`` meanwhile and keep the best weights.
        precision, max_iters: as `Trainer`.

    Raises:
        SystemExit: a signal has ended it; the code is 128 + signal (`signals`).
    """
    with SignalStops() as signals:
        if is_main():
            check_start(recipe)
        model = prepared_model(recipe, weights or recipe.weights, initial=True)
        trainer = Trainer(recipe, model, validate, precision, max_iters, hooks=[signals])
        trainer.run()
    stop = trainer.agreement.stop
    if stop is not None and stop.exit_code:
        raise SystemExit(stop.exit_code)


def prepared_model(recipe: Recipe, weights: Weights | None, initial: bool) -> Recognizer:
    """Set up device, processes and logging, and open the recipe's model; see `open_model`."""
    setup_device(recipe.device, recipe.num_threads)
    setup_distributed()
    model = open_model(recipe, weights, initial)
    log_file = make_run_folder(recipe) / LOG_NAME if is_main() else None
    setup_logging(recipe.log_level, log_file, quiet=not is_main())
    return model

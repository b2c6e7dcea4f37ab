"""Write MoViNet streams as .tflite files, from TensorFlow Model Garden: peers of `streaming.py`.

python benchmarks/peers/tflite_movinet.py --output FOLDER [--models a0 a1 a2]
    [--networks gated mobile] [--kinds fp32 dynamic int8]

Runs in an environment of its own (requirements-tflite.txt beside this file). A network is ``gated``
(hard swish and gates, as the released streams) or ``mobile`` (ReLU6, no gates, as the networks of 8
bits that were released for phones). Of each, files ``<id>_<kind>.tflite`` and
``<id>_mobile_<kind>.tflite`` are written: ``fp32``, ``dynamic`` (weights of 8 bits) and ``int8``
with ranges from frames whose states are carried on. They take one frame [1, 1, S, S, 3] of float32
in [0, 1] and the states, and give logits of 600 classes and new states. The weights and the frames
of the ranges are random, which does not change the speed. Converting a gated network to int8 takes
very long.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

SIZES = {"a0": 172, "a1": 172, "a2": 224, "a3": 256}
NETWORKS = {
    "gated": {"se_type": "2plus3d", "activation": "hard_swish", "head": "hard_swish"},
    "mobile": {"se_type": "none", "activation": "relu6", "head": "relu6"},
}
KINDS = ("fp32", "dynamic", "int8")
CALIBRATION_FRAMES = 8


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--models", nargs="+", choices=SIZES, default=["a0", "a1", "a2"])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=["gated"])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=["fp32", "dynamic"])
    arguments = parser.parse_args()
    os.environ["TF_USE_LEGACY_KERAS"] = "1"  # read when TensorFlow is imported
    arguments.output.mkdir(parents=True, exist_ok=True)
    for model in arguments.models:
        for network in arguments.networks:
            name = model if network == "gated" else f"{model}_{network}"
            with tempfile.TemporaryDirectory() as folder:
                frames = save_stream(model, network, folder)
                for kind in arguments.kinds:
                    write_file(folder, kind, frames, arguments.output / f"{name}_{kind}.tflite")


def save_stream(model: str, network: str, folder: str) -> Callable[[], Iterator[dict]]:
    """One step of the variant as TensorFlow's SavedModel.

    Returns:
        Inputs of steps, for the ranges of 8 bits: random frames, and the states after the last.
    """
    import numpy as np
    import tensorflow as tf
    import tf_keras
    from official.projects.movinet.modeling import movinet, movinet_model

    options, shape = NETWORKS[network], (1, 1, SIZES[model], SIZES[model], 3)
    tf_keras.utils.set_random_seed(0)
    spec = tf_keras.layers.InputSpec(shape=shape)
    backbone = movinet.Movinet(
        model_id=model, causal=True, conv_type="2plus1d", se_type=options["se_type"],
        activation=options["activation"], gating_activation="hard_sigmoid",
        use_positional_encoding=False, use_external_states=True, input_specs=spec,
    )  # fmt: skip
    classifier = movinet_model.MovinetClassifier(
        backbone, num_classes=600, output_states=True, activation=options["head"],
        input_specs={"image": spec},
    )  # fmt: skip
    classifier.build(shape)
    first = classifier.init_states(shape)
    classifier({**first, "image": tf.ones(shape)})

    @tf.function
    def step(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        logits, states = classifier(inputs)
        return {"logits": logits, **states}

    signature = {"image": tf.TensorSpec(shape, tf.float32, name="image")}
    signature |= {n: tf.TensorSpec(s.shape, s.dtype, name=n) for n, s in first.items()}
    tf.saved_model.save(classifier, folder, signatures=step.get_concrete_function(**signature))

    def steps() -> Iterator[dict]:
        rng, states = np.random.default_rng(0), dict(first)
        for _ in range(CALIBRATION_FRAMES):
            image = rng.random(shape, np.float32)
            yield {"image": image, **{name: np.asarray(state) for name, state in states.items()}}
            outputs = step(image=tf.constant(image), **states)
            states = {name: outputs[name] for name in states}

    return steps


def write_file(saved: str, kind: str, frames: Callable[[], Iterator[dict]], path: Path) -> None:
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(saved)
    if kind != "fp32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "int8":
        converter.representative_dataset = frames
        builtins = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS]
        converter.target_spec.supported_ops = builtins
    path.write_bytes(converter.convert())
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB", flush=True)


if __name__ == "__main__":
    main()

"""Write MoViNet streams as .tflite files, from TensorFlow Model Garden: peers of `streaming.py`.

python benchmarks/peers/tflite_movinet.py --output FOLDER [--models a0 a1 a2]

Runs in an environment of its own (requirements-tflite.txt beside this file). Of every variant two
files are written: ``<id>_fp32.tflite``, and ``<id>_dynamic.tflite`` with weights of 8 bits. They
take one frame [1, 1, S, S, 3] of float32 in [0, 1] and the states, and give logits of 600 classes
and new states. The weights are random, which does not change the speed.
"""

import argparse
import os
import tempfile
from pathlib import Path

SIZES = {"a0": 172, "a1": 172, "a2": 224}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--models", nargs="+", choices=SIZES, default=list(SIZES))
    arguments = parser.parse_args()
    os.environ["TF_USE_LEGACY_KERAS"] = "1"  # read when TensorFlow is imported
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name in arguments.models:
        with tempfile.TemporaryDirectory() as folder:
            save_stream(name, folder)
            write_files(name, folder, arguments.output)


def save_stream(name: str, folder: str) -> None:
    """One step of the variant as TensorFlow's SavedModel, with the released streams' options."""
    from official.projects.movinet.tools import export_saved_model

    export_saved_model.build_and_export_saved_model(
        export_path=folder,
        model_id=name,
        causal=True,
        conv_type="2plus1d",
        se_type="2plus3d",
        activation="hard_swish",
        gating_activation="hard_sigmoid",
        use_positional_encoding=False,
        num_classes=600,
        input_shape=(1, 1, SIZES[name], SIZES[name], 3),
        bundle_input_init_states_fn=False,
    )


def write_files(name: str, saved: str, output: Path) -> None:
    import tensorflow

    for kind, optimizations in (("fp32", []), ("dynamic", [tensorflow.lite.Optimize.DEFAULT])):
        converter = tensorflow.lite.TFLiteConverter.from_saved_model(saved)
        converter.optimizations = optimizations
        path = output / f"{name}_{kind}.tflite"
        path.write_bytes(converter.convert())
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB", flush=True)


if __name__ == "__main__":
    main()

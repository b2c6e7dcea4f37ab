"""The example in C++ (examples/cpp): compiled, and run on the step programs of bundles."""

import io
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
from export.test_quantization import write_noise
from modeling.conftest import randomise

import paddlevideo
from paddlevideo.export import ExportOptions, export_model
from paddlevideo.export.quantization import QuantizeOptions, quantize_bundle
from runtime.conftest import LABELS, PIPELINE

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "cpp"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """ONNX Runtime's shared library of the Python wheel, under the name that programs look for."""
    runtime = pytest.importorskip("onnxruntime")
    found = list((Path(runtime.__file__).parent / "capi").glob("libonnxruntime.so.*"))
    if not found:
        pytest.skip("the installed onnxruntime has no shared library for programs in C")
    name = tmp_path_factory.mktemp("library") / "libonnxruntime.so.1"
    name.symlink_to(found[0])
    return name


@pytest.fixture(scope="module")
def program(library):
    """The compiled example, by the command of its page."""
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler is installed (on Debian: apt install g++)")
    if subprocess.run(
        [compiler, "-E", "-x", "c++", "-"], input=b"#include <zlib.h>\n", capture_output=True
    ).returncode:
        pytest.skip("zlib's header is not installed (on Debian: apt install zlib1g-dev)")
    (command,) = re.findall(r"^g\+\+ .*$", (EXAMPLE / "README.md").read_text("utf-8"), re.M)
    arguments = command.replace("$ORT", str(library.parent)).split()[1:]
    arguments[arguments.index("check_step")] = str(library.parent / "check_step")
    # Not optimised: most of the time of a short run would be the compiler's.
    strict = ["-O0", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
    done = subprocess.run([compiler, *arguments, *strict], cwd=EXAMPLE, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return library.parent / "check_step"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    pytest.importorskip("paddle2onnx")
    model = randomise(paddlevideo.create_model("movinet_a0_stream", num_classes=len(LABELS)))
    folder = tmp_path_factory.mktemp("ported") / "bundle"
    pipeline = {**PIPELINE, "sample": {"name": "UniformSampler", "num_frames": 8}}
    options = ExportOptions(formats=("onnx",))
    return export_model(model.eval(), pipeline, folder, "small", LABELS, options)


def run(program, bundle, *tolerance, reference=None):
    step = bundle.folder / bundle.manifest.step.files["onnx"][0]
    command = [program, step, reference or bundle.folder / "reference.npz", *tolerance]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60)


def test_the_example_meets_the_reference(program, bundle):
    done = run(program, bundle)
    assert done.returncode == 0, done.stdout + done.stderr
    found = float(re.search(r"largest difference (\S+) of the largest logit", done.stdout)[1])
    assert found <= 1e-4
    last = np.load(bundle.folder / "reference.npz")["step_logits"][-1]
    classes = [int(number) for number in re.findall(r"class (\d+), logit", done.stdout)]
    assert classes == last.argmax(1).tolist()
    assert run(program, bundle, "1e-12").returncode == 1


@pytest.mark.slow  # quantising takes longer than all the rest
def test_the_example_meets_the_reference_of_8_bits(program, bundle, tmp_path):
    video = write_noise(tmp_path / "0.mp4", 0)
    options = QuantizeOptions(num_videos=1, search_videos=1, max_error=1.0)
    small = quantize_bundle(bundle, [video], tmp_path / "int8", options).bundle
    stated = small.manifest.reference
    done = run(program, small, stated.tolerance, stated.of)
    assert done.returncode == 0 and "of the spread" in done.stdout, done.stdout + done.stderr


def test_damaged_and_foreign_files_are_refused(program, bundle, tmp_path):
    path = tmp_path / "reference.npz"
    good = (bundle.folder / "reference.npz").read_bytes()
    cut, changed = good[:-30], bytearray(good)
    changed[len(changed) // 2] ^= 255
    arrays = dict(np.load(io.BytesIO(good)))
    turned = {**arrays, "frames.clip": np.asfortranarray(arrays["frames.clip"])}
    other = {**arrays, "order.clip": arrays["order.clip"] + 100}
    for content in (b"", b"no archive", cut, changed, packed(turned), packed(other)):
        path.write_bytes(content)
        done = run(program, bundle, reference=path)
        assert (done.returncode, done.stderr[:7]) == (2, "error: "), done
    # Stored and not deflated, as other writers may do.
    path.write_bytes(packed(arrays))
    assert run(program, bundle, reference=path).returncode == 0
    arrays["step_logits"][3, 0, 1] += 1
    path.write_bytes(packed(arrays))
    assert run(program, bundle, reference=path).returncode == 1
    assert subprocess.run([program], capture_output=True).returncode == 2


def packed(arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    assert all(not item.compress_type for item in zipfile.ZipFile(file).infolist())
    return file.getvalue()


@pytest.mark.slow  # CMake asks the compiler a dozen questions
def test_the_example_is_built_by_cmake(library, bundle, tmp_path):
    if shutil.which("cmake") is None:
        pytest.skip("CMake is not installed")
    build = ["cmake", "-B", tmp_path, f"-DONNXRUNTIME_LIBRARY={library.resolve()}"]
    for command in (build, ["cmake", "--build", tmp_path]):
        done = subprocess.run(list(map(str, command)), cwd=EXAMPLE, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    assert run(tmp_path / "check_step", bundle).returncode == 0

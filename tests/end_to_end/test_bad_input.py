"""What a user can get wrong: one message, exit code 1, within seconds, and nothing left behind.

Most cases run ``main.py`` in this process, through the same entry code; those that could hang or
run something have a process of their own.
"""

import os
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from child_processes import killed_at_the_end

from end_to_end.conftest import NAME, ROOT, metrics, run, write_config
from paddlevideo.apps.recipes import open_model, open_recipe
from paddlevideo.export import export_clip_model
from paddlevideo.weights import read_weights, write_weights


@pytest.fixture
def config(tiny, tmp_path):
    """The tiny config as it should be, beside a test's working folder."""
    return write_config(tmp_path.parent / f"{tmp_path.name}.yaml", tiny.config())


@pytest.fixture
def fails(main_here, config, tmp_path):
    """``fails(*arguments)``: the message; the command must write nothing and be quick."""

    def call(*arguments, may_write=False) -> str:
        before = sorted(tmp_path.rglob("*"))
        start_seconds = time.monotonic()
        message = main_here("-c", config, *arguments).error()
        assert time.monotonic() - start_seconds < 10
        if not may_write:
            assert sorted(tmp_path.rglob("*")) == before
        return message

    return call


@pytest.fixture(scope="module")
def damaged(tiny, tmp_path_factory):
    """A folder with files that are no videos, each in its own way, and a pattern of the reason."""
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "empty.mp4").touch()
    whole = (tiny.root / "val" / "red" / "2.mp4").read_bytes()
    (folder / "truncated.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "text.mp4").write_text("not a video\n" * 50)
    return folder


DAMAGED = ["missing.mp4", "empty.mp4", "truncated.mp4", "text.mp4", "audio_only"]


def damaged_path(damaged, name, request):
    if name != "audio_only":
        return damaged / name
    path = request.getfixturevalue("shared_dir") / "videos" / "clips" / "odd_audio_only.mp3"
    return path if path.is_file() else pytest.skip(f"needs {path.name} of ../shared/videos")


# --- the command line and the config


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("DATASET.batchsize=3", 'DATASET.batchsize: unknown key "batchsize"; did you mean "batch'),
        ("epoch=3", 'epoch: unknown key "epoch"; did you mean "epochs"?'),
        ("epochs=three", "epochs: Input should be a valid integer"),
        ("MODEL.head.name=ClasifierHead", 'did you mean "ClassifierHead"?'),
        ("MODEL.backbone.depth=3", 'MODEL.backbone: unknown argument "depth"'),
        ("PIPELINE.train.transform.0={Scael: {}}", 'transform "Scael"; did you mean "Scale"?'),
        (
            "PIPELINE.test.transform.0={Scale: {short_siz: 3}}",
            'PIPELINE.test.transform[0].Scale: unknown argument "short_siz"; did you mean "short_s',
        ),
        ("DATASET.train.format=VideoDatset", 'did you mean "VideoDataset"?'),
        ("OPTIMIZER.name=AdamV", 'OPTIMIZER.name: unknown optimizer "AdamV"; did you mean "Adam'),
        ("device=gpu", 'device "gpu" was asked for, but'),
        ("device=tpu", 'device "tpu" is unknown'),
        ("PIPELINE.train.transform.9.Scale=1", "-o PIPELINE.train.transform.9"),
        ("epochs", 'expected "KEY.KEY=VALUE"'),
    ],
)  # fmt: skip
def test_config(fails, override, message):
    assert message in fails("-o", override)


@pytest.mark.parametrize("key", ["x", "epochs", "model_name.x"])
def test_overrides_are_not_run(fails, key, tmp_path):
    fails("-o", f"{key}=__import__('os').system('touch MARK')")
    fails("-o", f"{key}=!!python/object/apply:os.system ['touch MARK']")
    assert not (tmp_path / "MARK").exists()


@pytest.mark.parametrize("flag", ["--train_dali", "--multigrid"])
def test_flags_that_are_not_served(fails, flag):
    assert fails(flag).startswith(f"{flag}: ")


def test_an_output_folder_that_cannot_be(fails, tmp_path):
    (tmp_path / "file").write_text("mine")
    assert "output_dir: file" in fails("-o", "output_dir=file")
    assert "output_dir: file/inside" in fails("-o", "output_dir=file/inside")
    assert (tmp_path / "file").read_text() == "mine"


def test_missing_files(fails, main_here):
    message = main_here("-c", "movinet_a0_fodler.yaml").error()
    assert message.startswith(
        "config movinet_a0_fodler.yaml cannot be read: No such file or directory, and none that "
        'comes with the package has this name; did you mean "movinet_a0_folder"? known: '
    )
    assert "none.pdparams cannot be read: No such file" in fails("--test", "-w", "none.pdparams")
    assert "none.pdparams cannot be read: No such file" in fails("-o", "weights=none.pdparams")
    assert "-w" in fails("--test")


# --- weights


def test_weights_of_another_model(fails, best_weights, tmp_path):
    """Every key and shape that does not fit is listed."""
    arrays = read_weights(best_weights)
    arrays["backbone.stem.bn.bias"] = arrays["backbone.stem.bn.bias"][:3]
    arrays["new.weight"] = arrays.pop("head.dense.weight")
    arrays["new.bias"] = arrays.pop("head.dense.bias")
    write_weights(tmp_path / "other.pdparams", arrays)
    for mode in ((), ("--test",)):
        message = fails(*mode, "-w", "other.pdparams")
        assert "other.pdparams does not fit the model; nothing was loaded." in message
        for line in ("head.dense.weight", "head.dense.bias", "new.weight", "new.bias"):
            assert f"\n    {line}\n" in message
        assert "\n    backbone.stem.bn.bias: model [8], file [3]\n" in message


@pytest.mark.parametrize("content", [b"", b"no pickle", b"\x80\x04"])
def test_damaged_weights(fails, content, tmp_path):
    (tmp_path / "w.pdparams").write_bytes(content)
    assert "w.pdparams: damaged or not a .pdparams file" in fails("--test", "-w", "w.pdparams")


class Hostile:
    def __reduce__(self):
        return os.system, ("touch MARK",)


def test_hostile_weights_are_not_run(config, tmp_path):
    for name, content in (
        ("alone.pdparams", Hostile()),
        ("inside.pdparams", {"a": np.zeros(3), "b": Hostile()}),
    ):
        (tmp_path / name).write_bytes(pickle.dumps(content))
        done = run("main.py", "--test", "-c", config, "-w", name, cwd=tmp_path)
        assert f"{name}: refused" in done.error() and "system" in done.error()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone.pdparams", "inside.pdparams"]


# --- lists and videos


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{video} 0\n\n{video} one\n", 'bad.list:3: expected "path label"'),
        ("{video}\n", 'bad.list:1: expected "path label"'),
        ("{video} 0\n{video} 3\n", "bad.list:2: label 3 of"),
        ("{video} -1\n", "bad.list:1: label -1 of"),
        ("# nothing\n\n", "bad.list lists no samples"),
        ("", "bad.list lists no samples"),
        (None, "bad.list cannot be read: No such file or directory"),
    ],
)
def test_lists(fails, text, message, tiny, best_weights, tmp_path):
    """In training and in test; nothing is trained, and no weights are written."""
    if text is not None:
        video = tiny.root / "val" / "red" / "2.mp4"
        (tmp_path / "bad.list").write_text(text.format(video=video))
    for split, mode in (("train", ()), ("valid", ("--validate",)), ("test", ("--test",))):
        mode = (*mode, "-w", best_weights) if split == "test" else mode
        said = fails(*mode, "-o", f"DATASET.{split}.file_path=bad.list", may_write=True)
        assert message in said
    left = {path.name for path in (tmp_path / "output" / NAME).iterdir()}
    assert left == {"run.log"}


def test_empty_folders(fails, tmp_path):
    (tmp_path / "videos").mkdir()
    node = "DATASET.train={format: FolderDataset, root: videos}"
    assert "videos: holds no class folders" in fails("-o", node, may_write=True)
    (tmp_path / "videos" / "a").mkdir()
    message = fails("-o", node, may_write=True)
    assert "videos" in message


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("name", DAMAGED)
def test_testing_an_unreadable_video(
    name, num_workers, fails, damaged, best_weights, tiny, tmp_path, request
):
    """The message names the video and the line of the list; no result is written."""
    path = damaged_path(damaged, name, request)
    (tmp_path / "bad.list").write_text(f"{tiny.root}/val/red/2.mp4 2\n{path} 0\n")
    changes = ("DATASET.test.file_path=bad.list", f"DATASET.test_num_workers={num_workers}")
    overrides = [text for change in changes for text in ("-o", change)]
    said = fails("--test", "-w", best_weights, *overrides, may_write=True)
    assert path.name in said and "bad.list:2" in said
    assert not (tmp_path / "output" / NAME / "metrics.jsonl").exists()


@pytest.mark.parametrize("num_workers", [0, 2])
def test_training_where_nothing_can_be_read(num_workers, config, damaged, tmp_path):
    lines = [f"{damaged}/{name} 0\n" for name in DAMAGED[:4]]
    (tmp_path / "bad.list").write_text("".join(lines))
    changes = ("DATASET.train.file_path=bad.list", f"DATASET.num_workers={num_workers}")
    overrides = [text for change in changes for text in ("-o", change)]
    done = run("main.py", "--validate", "-c", config, *overrides, cwd=tmp_path, timeout=60)
    assert "bad.list: 4 samples in a row could not be read; last: " in done.error()
    folder = tmp_path / "output" / NAME
    assert not list(folder.glob("*.pdparams")) and not list(folder.glob("*.state"))
    reasons = (folder / "bad_samples.jsonl").read_text()
    assert reasons.count(str(damaged)) >= 2


def test_training_goes_on_past_some_unreadable_videos(main_here, config, damaged, tiny, tmp_path):
    """They are replaced, told once, and written down."""
    listed = (tiny.root / "train.list").read_text().splitlines()
    good = "".join(f"{tiny.root}/{line}\n" for line in listed)
    (tmp_path / "some.list").write_text(f"{good}{damaged}/empty.mp4 1\n{damaged}/text.mp4 0\n")
    done = main_here("-c", config, "-o", "DATASET.train.file_path=some.list")
    assert done.code == 0, done.stderr
    folder = tmp_path / "output" / NAME
    written = (folder / "bad_samples.jsonl").read_text().splitlines()
    assert len(written) == 2 and (folder / f"{NAME}_epoch_00002.pdparams").is_file()
    assert done.stderr.count("another sample takes its place") == 2


def test_half_of_the_videos_cannot_be_read(main_here, config, damaged, tiny, tmp_path):
    """Above the share training stops at once; with a larger one it trains, and resumes alike."""
    listed = (tiny.root / "train.list").read_text().splitlines()
    good = "".join(f"{tiny.root}/{line}\n" for line in listed)
    bad = "".join(f"{damaged}/{name} 0\n" for name in DAMAGED[:4])
    (tmp_path / "half.list").write_text(good + bad)
    options = ("-c", config, "-o", "DATASET.train.file_path=half.list", "-o", "epochs=2")
    said = main_here(*options, "-o", "output_dir=stopped").error()
    assert "DATASET.max_bad_share 0.2 allows" in said and "stopped/bad_samples.jsonl" in said
    options = (*options, "-o", "DATASET.max_bad_share=0.9")
    done = main_here(*options, "-o", "output_dir=whole")
    assert done.code == 0, done.stderr
    done = main_here(*options, "-o", "output_dir=parts", "--max_iters", 1)
    assert done.code == 0, done.stderr
    done = main_here(*options, "-o", "output_dir=parts", "-o", "resume_epoch=latest")
    assert done.code == 0, done.stderr
    lines = metrics(tmp_path / "parts", "train_epoch")
    whole = metrics(tmp_path / "whole", "train_epoch")
    assert [line["bad_samples"] for line in lines[-2:]] == [line["bad_samples"] for line in whole]
    assert all(line["bad_share"] > 0.2 for line in whole)
    assert [line["loss"] for line in lines[-2:]] == [line["loss"] for line in whole]
    assert f"bad samples: {whole[-1]['bad_samples']} ({whole[-1]['bad_share']:.1%})" in done.stderr


def test_predicting_unreadable_videos(config, damaged, best_weights, tmp_path, request):
    """Each is told, the good one is classified, and the exit code says that not all went well."""
    recipe = open_recipe(config)
    model = open_model(recipe, best_weights)
    export_clip_model(model, recipe.inference_description(), tmp_path / "bundle", NAME)
    lines = [f"{damaged_path(damaged, name, request)}\n" for name in DAMAGED]
    (tmp_path / "all.txt").write_text("".join(lines))
    predict = ("tools/predict.py", "--model_dir", "bundle", "--use_gpu=False", "-i")
    done = run(*predict, "all.txt", cwd=tmp_path)
    message = done.error()
    assert message.startswith(f"{len(DAMAGED)} of {len(DAMAGED)} files could not be read:\n")
    assert all(line.strip() in message for line in lines) and done.stdout == ""


# --- interrupted


def test_control_c(config, tmp_path):
    """The step ends, it is saved, its own exit code, and no process left."""
    command = [sys.executable, str(ROOT / "main.py"), "-c", str(config), "-o", "epochs=500"]
    with (tmp_path / "stderr").open("w") as stderr, subprocess.Popen(
        [*command, "-o", "DATASET.num_workers=2", "-o", "save_interval=500"],
        cwd=tmp_path, stderr=stderr, start_new_session=True,
    ) as process, killed_at_the_end(process):  # fmt: skip
        deadline = time.monotonic() + 60
        while "train step" not in (tmp_path / "stderr").read_text():
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=20) == 130
    said = (tmp_path / "stderr").read_text()
    assert "stopped by SIGINT" in said
    assert "Traceback" not in said and "error" not in said
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)

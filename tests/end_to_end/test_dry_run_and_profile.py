"""--dry-run tries everything and leaves nothing; --profile leaves a trace."""

import json
import re
import tempfile
from pathlib import Path

import pytest

from end_to_end.conftest import NAME, metrics, write_config
from paddlevideo.apps import dry_run, run_plan
from paddlevideo.cli.profiler_options import ProfilerOptions, read_profiler_options
from paddlevideo.tasks.profile import costs_of
from paddlevideo.utils.errors import ConfigError


@pytest.fixture
def config(tiny, tmp_path, monkeypatch):
    """Of seven steps an epoch; temporary folders are made where they can be looked for."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    content = tiny.config(epochs=4, val_interval=3)
    content["DATASET"]["batch_size"] = 1
    return write_config(tmp_path / "tiny.yaml", content)


def files_of(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_the_plan_of_a_run(config, main_here, tmp_path):
    before = files_of(tmp_path)
    done = main_here("--validate", "-c", config, "--dry-run")
    assert done.code == 0, done.stderr
    plan = dict(re.findall(r"^(.{14}) (.+)$", done.stdout, re.M))
    plan = {title.strip(): text for title, text in plan.items()}
    assert plan["data"] == "7 train, 7 valid, 7 test"
    assert plan["batch"] == "1 clips a step, 1 an update (1 steps); clip 1x4x3x32x32"
    assert plan["length"] == "4 epochs of 7 steps, 28 steps; 2 validations of 7 batches"
    assert plan["learning rate"].startswith("0.001 at first, 0.0")
    assert re.match(r"MoViNet, 1,902,818 parameters, 1,888,546 of them trained, ", plan["model"])
    assert plan["frozen"] == "none" and "MetricsWriter" in plan["hooks"]
    assert "_Watch" not in plan["hooks"]
    assert re.match(r"[\d.]+ [MG]B at most$", plan["memory"])
    assert re.match(
        r"[\d.]+ s a step, [\d.]+ s a batch of a validation; \d+:\d\d:\d\d", plan["time"]
    )
    assert re.match(r"7.64 MB weights and 22.\d MB state a checkpoint, [\d.]+ MB at", plan["disk"])
    assert plan["tried"].endswith("read back, an export that was proved")
    assert files_of(tmp_path) == before


def test_the_plan_names_a_timetable_of_freezing(config, main_here):
    phases = "[{until_epoch: 1, through: block2}, {until_epoch: 2, through: stem}]"
    done = main_here("-c", config, "--dry-run", "-o", f"FREEZE={phases}")
    assert done.code == 0, done.stderr
    expected = "everything up to block2 until epoch 1, everything up to stem until epoch 2"
    assert expected in done.stdout


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["DATASET.valid.file_path=none.list"], "none.list"),
        (["DATASET.test.file_path=none.list"], "none.list"),
        (["MODEL.head.num_classes=2"], "label"),
        (["output_dir=tiny.yaml"], "output_dir: tiny.yaml cannot be made"),
        (["PIPELINE.test.transform.1.CenterCrop.target_size=30", "PIPELINE.test.transform.2=null"],
         "PIPELINE.test"),
    ],
)  # fmt: skip
def test_the_first_problem_is_the_message(config, main_here, overrides, message, tmp_path):
    before = files_of(tmp_path)
    flags = [part for override in overrides for part in ("-o", override)]
    assert message in main_here("--validate", "-c", config, "--dry-run", *flags).error()
    assert files_of(tmp_path) == before


def test_a_disk_without_room_and_a_batch_too_large(config, main_here, monkeypatch):
    monkeypatch.setattr(dry_run, "_free_bytes", lambda folder: 5_000_000)
    message = main_here("-c", config, "--dry-run").error()
    assert "has 5 MB of room, and the checkpoints take " in message

    def no_memory(trainer):
        raise MemoryError("ResourceExhaustedError")

    monkeypatch.setattr(dry_run.Trainer, "run", no_memory)
    message = main_here("-c", config, "--dry-run").error()
    assert "DATASET.batch_size 1 needs more memory than the device has" in message


def test_what_does_not_go_together(config, main_here):
    for flags in (
        ["--max_iters", 3],
        ["--profile", 3],
        ["-p", "batch_range=[1,2]"],
        ["--resume", "auto"],
    ):
        assert "has no effect here" in main_here("-c", config, "--dry-run", *flags).error()
    for flags in (["--dry-run"], ["--profile", 2], ["-p", "batch_range=[1,2]"]):
        message = main_here("--test", "-c", config, "-w", "x", *flags).error()
        assert "has no effect here: it belongs to training" in message
    assert main_here("-c", config, "--profile", 0).code == 2
    message = main_here("-c", config, "--profile", 24).error()
    assert "a profile of 24 steps after 5 others needs 29, and the training has 28 left" in message


def test_a_profile(config, main_here, tmp_path):
    done = main_here("-c", config, "--profile", 2, "--max_iters", 8)
    assert done.code == 0, done.stderr
    run = tmp_path / "output" / NAME
    trace = json.loads((run / "profile.json").read_text(errors="replace"))
    assert any("conv" in event["name"] for event in trace["traceEvents"])
    steps = [e for e in trace["traceEvents"] if e.get("cat") == "ProfileStep"]
    assert len(steps) >= 2
    log = (run / "run.log").read_text()
    assert f"profile of 2 steps: output/{NAME}/profile.json; open it at ui.perfetto.dev" in log
    rows = re.findall(r"([\d.]+) ms +([\d.]+) % +([\d.]+)  (\S+)", log)
    assert len(rows) == 15 and {"conv3d"} & {name.lower() for *_, name in rows}
    assert [float(time) for time, *_ in rows] == sorted((float(r[0]) for r in rows), reverse=True)
    assert len(metrics(run, "train")) == 7  # training went on
    before = files_of(tmp_path)
    assert "overwrite" in main_here("-c", config, "--dry-run").error()  # another run lies there
    assert files_of(tmp_path) == before


def test_paddlevideos_option(config, main_here, tmp_path):
    options = "batch_range=[1, 3]; profile_path=traces/one.json"
    done = main_here("-c", config, "-p", options)
    assert done.code == 0, done.stderr
    assert (tmp_path / "traces" / "one.json").stat().st_size > 10_000
    assert "the profile is written: training ends" in done.stderr
    assert len(metrics(tmp_path / "output" / NAME, "train")) == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ProfilerOptions(10, 10, None, True)),
        ("batch_range=[50,60];state=All;sorted_key=total", ProfilerOptions(50, 10, None, True)),
        ("profile_path=a/b ; exit_on_finished=false;", ProfilerOptions(10, 10, Path("a/b"), False)),
    ],
)
def test_reading_of_paddlevideos_option(text, expected):
    assert read_profiler_options(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batch_rang=[1,2]", 'is no option; did you mean "batch_range"'),
        ("batch_range=[5,5]", "batch_range is '[5,5]', expected"),
        ("batch_range=5", "batch_range is '5', expected"),
        ("sorted_key=calls", "sorted_key='calls' is not served, only total"),
        ("exit_on_finished=1", "exit_on_finished is '1'"),
        ("state", "is no option"),
    ],
)
def test_refused_options(text, message):
    with pytest.raises(ConfigError) as error:
        read_profiler_options(text)
    assert message in str(error.value) and "--profile N" in str(error.value)


def test_costs_are_those_of_each_operation_itself():
    def event(name, start, length, thread="a", category="Operator"):
        return {"name": name, "ts": start, "dur": length, "tid": thread, "ph": "X", "cat": category}

    events = [
        event("Global_ConvGrad[1.5 ms]", 0, 1500), event("matmul dygraph[200.1 us]", 100, 200),
        event("matmul dygraph[300 us]", 400, 300), event("inner[50 us]", 450, 50),
        event("matmul dygraph[100 us]", 0, 100, "b"), event("kernel", 0, 9, "c", "Kernel"),
        {"ph": "M", "name": "thread_name"},
    ]  # fmt: skip
    costs = {cost.name: (cost.milliseconds, cost.calls) for cost in costs_of(events, "Operator")}
    assert costs == {
        "ConvGrad": (pytest.approx(1.0), 1), "matmul": (pytest.approx(0.55), 3),
        "inner": (pytest.approx(0.05), 1),
    }  # fmt: skip
    assert next(iter(costs)) == "ConvGrad"


def test_bytes():
    assert [run_plan._bytes(n) for n in (5, 1500, 76_400_000, 2e9, 5e12)] == [
        *("5 bytes", "1.5 kB", "76.4 MB", "2 GB", "5000 GB")
    ]

"""What a run leaves behind, and the numbers of a running epoch."""

import json
import logging
import re
import time

import numpy as np
import paddle
import pytest

from paddlevideo.metrics import TopKAccuracy
from paddlevideo.tasks.hooks import Event
from paddlevideo.tasks.recipe import parse_recipe
from paddlevideo.tasks.run_folder import (
    MetricsLog,
    make_run_folder,
    save_test_record,
    save_training_record,
)
from paddlevideo.tasks.train_meter import TrainMeter
from paddlevideo.tasks.writers import LogLines
from paddlevideo.utils.config import read_config
from paddlevideo.utils.errors import ConfigError, WeightsError


def recipe(folder, **changes):
    config = {"MODEL": {"preset": "movinet_a0_base"}, "output_dir": str(folder), **changes}
    return parse_recipe(config)


def test_the_folder_says_what_was_run(tmp_path):
    folder = tmp_path / "a" / "run"
    ours = recipe(folder, seed=3)
    assert make_run_folder(ours) == folder and list(folder.iterdir()) == []
    save_training_record(ours)
    assert parse_recipe(read_config(folder / "config.yaml")) == ours
    facts = json.loads((folder / "environment.json").read_text())
    assert facts["paddle"] == paddle.__version__ and facts["processes"] == 1
    save_test_record(recipe(folder, seed=4))  # a test leaves the record of the training
    assert "seed: 3" in (folder / "config.yaml").read_text()
    assert "seed: 4" in (folder / "test_config.yaml").read_text()


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(ConfigError, match=r"output_dir: .*file.* cannot be made"):
            make_run_folder(recipe(folder))


def test_metrics_are_appended(tmp_path):
    for _ in range(2):
        MetricsLog(tmp_path).write("valid", epoch=1, top1=0.5)
    MetricsLog(tmp_path).write("test", loss=0.25)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["valid", "valid", "test"]
    assert all(abs(line.pop("time") - time.time()) < 60 for line in lines)
    assert lines[0] == {"kind": "valid", "epoch": 1, "top1": 0.5}


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.INFO, "paddlevideo")
    return caplog


def batches(sizes, num_classes):
    rng = np.random.default_rng(0)
    for size in sizes:
        logits = rng.standard_normal((size, num_classes)).astype("float32")
        logits[0] = 0.0  # a tie, which counts against the label
        yield logits, rng.integers(0, num_classes, size), float(rng.random())


def means(values):
    """Loss, top-1 and top-5 over samples, by hand."""
    count = sum(len(label) for _, label, _ in values)
    result = {"loss": sum(loss * len(label) for _, label, loss in values) / count}
    for k in (1, 5):
        right = 0
        for logits, labels, _ in values:
            for row, label in zip(logits, labels, strict=True):
                right += sum(row[other] >= row[label] for other in range(len(row))) <= k
        result[f"top{k}"] = right / count
    return result


@pytest.mark.parametrize("num_classes", [3, 9])
@pytest.mark.parametrize("interval", [1, 2, 4, 100])
def test_means_over_samples(num_classes, interval):
    values = list(batches([4, 4, 4, 4, 4, 4, 1], num_classes))
    meter = TrainMeter(interval, TopKAccuracy())
    read, start = [], 0
    for step, (logits, label, loss) in enumerate(values):
        result = {"loss": paddle.to_tensor(loss), "logits": paddle.to_tensor(logits)}
        meter.add(result, paddle.to_tensor(label), rate=0.1 * step)
        if meter.due(step, len(values)):
            ours = meter.read()
            expected = means(values[start : step + 1])
            assert {key: ours[key] for key in expected} == pytest.approx(expected, rel=1e-5)
            assert ours["lr"] == 0.1 * step and ours["batch_seconds"] > 0
            read.append(step)
            start = step + 1
    assert read == [step for step in range(6) if step % interval == 0]
    summary = meter.summary()
    expected = means(values)
    assert {key: summary[key] for key in expected} == pytest.approx(expected, rel=1e-5)
    assert summary["samples_per_second"] == pytest.approx(25 / summary["seconds"])


def add_three(meter):
    for _ in range(3):
        result = {"loss": paddle.to_tensor(1.25), "logits": paddle.eye(3)}
        meter.add(result, paddle.arange(3), rate=0.5)
    return meter


def test_paddlevideos_lines(log):
    meter = add_three(TrainMeter(1, TopKAccuracy()))
    lines = LogLines(epochs=30)
    values = {"epoch": 2, "step": 2, "seconds_left": 3723.4, **meter.read()}
    lines.on_event(Event("train", values))
    of_a_gpu = {**values, "gpu_memory_mb": 2048.4, "grad_norm": 1.25}
    lines.on_event(Event("train", of_a_gpu))
    lines.on_event(Event("train_epoch", {"epoch": 2, **meter.summary()}))
    lines.on_event(Event("valid", {"epoch": 2, "headline": "top1", "top1": 0.5, "samples": 7}))
    line, gpu, end, valid = [record.getMessage() for record in log.records]
    assert re.search(r", memory: \d+ MB, gpu memory: 2048 MB, grad_norm: 1.25$", gpu)
    assert re.fullmatch(
        r"epoch:\[  2/30 \] train step:2    loss: 1.25000 lr: 0.500000 top1: 1.00000 top5: 1.00000 "
        r"batch_cost: [\d.]+ sec, reader_cost: [\d.]+ sec, ips: [\d.]+ instance/sec, "
        r"eta: 1:02:03, data: [\d.]+%, compute: [\d.]+%, memory: \d+ MB",
        line,
    )
    assert re.match(r"END epoch:2 +train loss: 1.25000 top1: 1.00000 top5: 1.00000, ", end)
    assert valid == "END epoch:2    valid top1: 0.5 samples: 7"


@pytest.mark.parametrize("read_before", [0, 2, 5])
def test_a_meter_goes_on_within_an_epoch(read_before):
    """Its sums have the same bits wherever it was saved."""
    values = list(batches([4] * 8, 3))

    def add(meter, some):
        for logits, label, loss in some:
            result = {"loss": paddle.to_tensor(loss / 3), "logits": paddle.to_tensor(logits)}
            meter.add(result, paddle.to_tensor(label), rate=0.1)

    through, before, after = (TrainMeter(9, TopKAccuracy()) for _ in range(3))
    for meter in (through, before):
        add(meter, values[:read_before])
        if read_before:
            meter.read()
        add(meter, values[read_before:5])
    after.load_state_dict(before.state_dict(), "file")
    for meter in (through, after):
        add(meter, values[5:])
    ours, expected = after.read(), through.read()
    assert all(ours[key] == expected[key] for key in ("loss", "top1", "top5"))
    ours, expected = after.summary(), through.summary()
    assert all(ours[key] == expected[key] for key in ("loss", "top1", "top5"))


@pytest.mark.parametrize(
    "change", [{"pending": np.zeros((2, 7), "float32")}, {"done": {"steps": -1}}, {"totals": 3}]
)
def test_no_state_of_a_meter(change):
    meter = TrainMeter(1, TopKAccuracy())
    state = {**add_three(TrainMeter(1, TopKAccuracy())).state_dict(), **change}
    with pytest.raises(WeightsError, match="file cannot be read as"):
        meter.check_state(state, "file")


def test_waiting_for_batches_is_measured():
    def slow():
        for number in range(3):
            time.sleep(0.02)
            yield number

    meter = TrainMeter(3, TopKAccuracy())
    seen = []
    for number in meter.timed(slow()):
        time.sleep(0.01)
        seen.append(number)
        result = {"loss": paddle.to_tensor(1.0), "logits": paddle.eye(2)}
        meter.add(result, paddle.arange(2), rate=0.1)
    assert seen == [0, 1, 2]
    values = meter.read()
    assert 0.019 < values["reader_seconds"] < values["batch_seconds"] - 0.009
    assert values["data_share"] == pytest.approx(
        values["reader_seconds"] / values["batch_seconds"], rel=1e-6
    )
    assert 0.0 < values["compute_share"] <= 1 - values["data_share"]


def test_the_norm_of_the_gradient_is_that_of_the_newest_update():
    meter = TrainMeter(1, TopKAccuracy())
    assert "grad_norm" not in add_three(meter).read()
    result = {"loss": paddle.to_tensor(1.25), "logits": paddle.eye(3)}
    for more in ({"grad_norm": paddle.to_tensor(2.5)}, {}):  # the second gathers, without update
        meter.add({**result, **more}, paddle.arange(3), rate=0.5)
    assert meter.read()["grad_norm"] == 2.5


def test_steps_that_are_left_out_are_in_no_mean():
    """Their values are not finite (float16 overflows while the scale of the loss is found)."""
    meter = TrainMeter(1, TopKAccuracy())
    label = paddle.to_tensor([0, 1])
    bad = {"loss": paddle.to_tensor(np.inf), "logits": paddle.full([2, 2], np.nan)}
    meter.begin()
    meter.add(bad, label, rate=0.1, skipped=True)
    assert np.isnan(meter.read()["loss"]) and np.isnan(meter.summary()["loss"])
    good = {"loss": paddle.to_tensor(2.0), "logits": paddle.eye(2)}
    meter.add(good, label, rate=0.1)
    meter.add(bad, label, rate=0.1, skipped=True)
    assert meter.read()["loss"] == 2.0 and meter.summary()["top1"] == 1.0

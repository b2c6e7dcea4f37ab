"""From a name to a file: fetched once, converted once, whatever number of processes ask."""

import dataclasses
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import paddle
import pytest

from paddlevideo.convert.resolve import fetch, resolve, take_file
from paddlevideo.tasks.class_names import RECORD_NAME
from paddlevideo.utils.errors import DownloadError, WeightsError
from paddlevideo.weights import read_weights, write_weights
from paddlevideo.weights.published import class_names, find_entry
from paddlevideo.weights.published import table as table_module
from paddlevideo.weights.published.cache import converted_file, only_process, read_record
from weights.published.conftest import content

ROOT = Path(__file__).resolve().parents[3]


def files_of(cache: Path) -> list[str]:
    return sorted(str(p.relative_to(cache)) for p in cache.rglob("*") if p.is_file())


def test_fetched_and_converted_once(server, entry, released, cache):
    file, arrays = released
    server.answers["/w.tar.gz"] = content(file.read_bytes())
    wanted = entry(server.address("/w.tar.gz"))
    paddle.seed(1)
    before = paddle.rand([3]).numpy()
    paddle.seed(1)
    path = fetch(wanted, allow_plain_http=True)
    assert np.array_equal(paddle.rand([3]).numpy(), before), "a run's random numbers are its own"
    found = read_weights(path)
    assert set(found) == set(arrays)
    assert all(np.array_equal(found[name], arrays[name]) for name in arrays)
    assert fetch(wanted) == path  # an HTTP address would be refused: nothing is asked for
    assert len(server.asked) == 1
    record = json.loads(path.with_suffix(".json").read_text())
    assert record["address"] == wanted.address
    assert record["licence"] == "Apache-2.0"
    names = json.loads(path.with_name(RECORD_NAME).read_text())["class_names"]
    assert names == class_names("kinetics_600")
    assert record["file_bytes"] == file.stat().st_size
    assert files_of(cache) == [
        "downloads/movinet_t0_stream.tar.gz",
        "locks/movinet_a0_stream_k600.lock",
        "weights/movinet_a0_stream_k600/class_names.json",
        "weights/movinet_a0_stream_k600/movinet_a0_stream_k600.json",
        "weights/movinet_a0_stream_k600/movinet_a0_stream_k600.safetensors",
    ]


@pytest.mark.parametrize("damage", ["record", "weights", "no weights"])
def test_a_damaged_cache_is_made_anew_from_the_kept_file(entry, released, damage):
    wanted = entry("https://example.invalid/w")
    path = take_file(wanted, released[0])
    whole = path.read_bytes()
    if damage == "record":
        path.with_suffix(".json").write_text("{")
    elif damage == "weights":
        path.write_bytes(whole[:1000])
    else:
        path.unlink()
    assert read_record(wanted) is None
    assert fetch(wanted).read_bytes() == whole


def test_offline_names_address_file_and_folder_and_takes_the_file_there(
    entry, released, cache, monkeypatch
):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    wanted = entry("https://example.invalid/w.tar.gz")
    with pytest.raises(DownloadError) as error:
        fetch(wanted)
    for part in (
        "https://example.invalid/w.tar.gz",
        f"put it as movinet_t0_stream.tar.gz into {cache / 'downloads'}",
        "paddlevideo download movinet_a0_stream_k600 --from FILE",
    ):
        assert part in str(error.value)
    assert files_of(cache) == ["locks/movinet_a0_stream_k600.lock"]
    (cache / "downloads").mkdir()
    (cache / "downloads" / "movinet_t0_stream.tar.gz").write_bytes(released[0].read_bytes())
    assert fetch(wanted).is_file()


def test_a_file_by_hand_is_checked(entry, released, tmp_path, cache):
    wanted = entry("https://example.invalid/w", sha256="0" * 64)
    with pytest.raises(DownloadError, match=r"its SHA-256 is .*expected 000"):
        take_file(wanted, released[0])
    with pytest.raises(DownloadError, match="no such file; expected movinet_t0_stream"):
        take_file(wanted, tmp_path / "none")
    assert not cache.exists()


def test_a_file_by_hand_of_another_network(entry, released, cache):
    wanted = entry("https://example.invalid/w", model="movinet_a0_stream")
    with pytest.raises(WeightsError, match="variant: expected A0, found T0"):
        take_file(wanted, released[0])
    assert files_of(cache) == ["locks/movinet_a0_stream_k600.lock"]


def test_a_page_by_hand(entry, tmp_path, cache):
    file = tmp_path / "page.tar.gz"
    file.write_text("<html>")
    with pytest.raises(WeightsError, match=r"damaged or not a \.tar\.gz file"):
        take_file(entry("https://example.invalid/w"), file)
    assert files_of(cache) == ["locks/movinet_a0_stream_k600.lock"]


@pytest.mark.parametrize("name", ["../out.index", "/out.index"])
def test_an_archive_that_leads_elsewhere(entry, tmp_path, name):
    file = tmp_path / "w.tar.gz"
    (tmp_path / "x").write_text("x")
    with tarfile.open(file, "w:gz") as archive:
        archive.add(tmp_path / "x", "x")
        member = tarfile.TarInfo(name)
        archive.addfile(member)
    with pytest.raises(WeightsError, match="leads elsewhere"):
        take_file(entry("https://example.invalid/w"), file)


def test_an_archive_that_unpacks_to_too_much(entry, tmp_path, monkeypatch):
    file = tmp_path / "w.tar.gz"
    (tmp_path / "x").write_bytes(bytes(3_000_000))
    with tarfile.open(file, "w:gz") as archive:
        archive.add(tmp_path / "x", "x")
    monkeypatch.setenv("PADDLEVIDEO_LIMITS", "archive_bytes=1e6")
    with pytest.raises(WeightsError, match="unpacked it is too large; the limit archive_bytes"):
        take_file(entry("https://example.invalid/w"), file)


def test_a_full_disk_while_converting(entry, released, cache, monkeypatch):
    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DownloadError, match="cannot be written: No space left"):
        take_file(entry("https://example.invalid/w"), released[0])
    assert files_of(cache) == ["locks/movinet_a0_stream_k600.lock"]


FETCH = """
import dataclasses, sys
from paddlevideo.weights.published import find_entry
from paddlevideo.convert.resolve import fetch
entry = dataclasses.replace(find_entry("movinet_a0_stream_k600"), address=sys.argv[1],
    file_name="movinet_t0_stream.tar.gz", model="movinet_t0_stream", num_classes=3)
print(fetch(entry, allow_plain_http=True))
"""


def test_two_processes_download_once(server, released, cache):
    server.answers["/w.tar.gz"] = content(released[0].read_bytes())
    command = [sys.executable, "-c", FETCH, server.address("/w.tar.gz")]
    running = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    said = [process.communicate(timeout=120)[0].strip() for process in running]
    assert [process.returncode for process in running] == [0, 0]
    name = "movinet_a0_stream_k600"
    assert said == [str(cache / "weights" / name / f"{name}.safetensors")] * 2
    assert len(server.asked) == 1


def test_the_lock_ends_with_a_killed_process(cache):
    code = (
        "import time\nfrom paddlevideo.weights.published import find_entry\n"
        "from paddlevideo.weights.published.cache import only_process\n"
        "with only_process(find_entry('movinet_a0_stream_k600')):\n"
        "    print('held', flush=True)\n    time.sleep(600)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    holder.kill()
    holder.wait()
    holder.stdout.close()
    with only_process(find_entry("movinet_a0_stream_k600")):
        pass


def test_names_and_paths(tmp_path, monkeypatch, cache):
    monkeypatch.chdir(tmp_path)
    for path in ("a.pdparams", "x/movinet_a0_stream_k600", Path("b.safetensors")):
        assert resolve(path) == Path(path)  # whoever opens it says that it is missing
    with pytest.raises(WeightsError, match='did you mean "movinet_a0_stream_k600"'):
        resolve("movinet_a0_steam_k600")
    Path("movinet_a0_stream_k600").write_text("a file of that name")
    assert resolve("movinet_a0_stream_k600") == Path("movinet_a0_stream_k600")
    assert not cache.exists()


def test_a_source_that_is_not_available_says_so(tmp_path, monkeypatch):
    """Whatever the importer says of a file is said under the weights' name."""
    file = tmp_path / "x.tflite"
    file.write_bytes(b"no model")
    wanted = dataclasses.replace(
        find_entry("movinet_a0_stream_k600_int8"), sha256=None, num_bytes=None
    )
    with pytest.raises(WeightsError, match=r"weights movinet_a0_stream_k600_int8: .*x\.tflite"):
        take_file(wanted, file)


def put_into_cache(monkeypatch, entry, **changes) -> dict[str, np.ndarray]:
    """Make the name stand for random weights of its own (small) network; returns them."""
    from paddlevideo.convert.published_section import pretrained_section
    from paddlevideo.modeling import build_recognizer
    from paddlevideo.weights import model_arrays

    wanted = dataclasses.replace(entry, **changes)
    monkeypatch.setattr(
        table_module, "PRETRAINED", {**table_module.PRETRAINED, wanted.name: wanted}
    )
    arrays = model_arrays(build_recognizer(pretrained_section(wanted)))
    path = converted_file(wanted)
    write_weights(path, arrays)
    record = {"record_format": 1, "name": wanted.name, "options": dict(wanted.options)}
    record["converted_bytes"] = path.stat().st_size
    path.with_suffix(".json").write_text(json.dumps(record))
    return arrays


def test_create_model_by_name(monkeypatch):
    import paddlevideo

    arrays = put_into_cache(monkeypatch, find_entry("paddlevideo_a0_k400"))
    model = paddlevideo.create_model("movinet_a0_base", weights="paddlevideo_a0_k400")
    state = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    assert all(np.array_equal(state[name], arrays[name]) for name in arrays)
    factor = model.scaling.factor.numpy().ravel()
    assert np.allclose(factor, 1 / (255 * np.array([0.229, 0.224, 0.225])))
    mine = paddlevideo.create_model("movinet_a0_base", 7, weights="paddlevideo_a0_k400")
    assert mine.num_classes == 7
    with pytest.raises(WeightsError, match="are of movinet_a0_base, not of movinet_a1_base"):
        paddlevideo.create_model("movinet_a1_base", weights="paddlevideo_a0_k400")


def test_weights_by_name_in_a_config(monkeypatch):
    from paddlevideo.apps.recipes import open_model, open_recipe
    from paddlevideo.utils.errors import ConfigError

    arrays = put_into_cache(monkeypatch, find_entry("movinet_a0_stream_k600_int8"))
    configs = ROOT / "configs" / "recognition" / "movinet"
    name = "weights=movinet_a0_stream_k600_int8"
    recipe = open_recipe(configs / "movinet_a0_stream_mobile.yaml", [name])
    model = open_model(recipe, recipe.weights, initial=True)
    state = {key: tensor.numpy() for key, tensor in model.state_dict().items()}
    assert all(np.array_equal(state[key], arrays[key]) for key in arrays)
    other = [name, "MODEL.head.activation=swish"]
    recipe = open_recipe(configs / "movinet_a0_stream_mobile.yaml", other)
    with pytest.raises(ConfigError, match=r"set MODEL\.head\.activation=relu6"):
        open_model(recipe, recipe.weights, initial=True)

"""The table of released weights agrees with itself, the registered models and the docs."""

import dataclasses
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from paddlevideo import list_models
from paddlevideo.cli.download import accuracy_text
from paddlevideo.convert.published_section import pretrained_section
from paddlevideo.modeling import number_of_classes
from paddlevideo.modeling.backbones.movinet.specs import SPECS
from paddlevideo.utils.errors import ConfigError, WeightsError
from paddlevideo.weights.published import PRETRAINED, class_names, find_entry

DOCS = Path(__file__).resolve().parents[3] / "docs"
ENTRIES = pytest.mark.parametrize("entry", PRETRAINED.values(), ids=lambda entry: entry.name)


def test_what_there_is():
    expected = {f"movinet_a{n}_{kind}" for n in range(6) for kind in ("stream_k600", "base_k600")}
    expected |= {f"movinet_a{n}_base_k400" for n in range(6)} | {"paddlevideo_a0_k400"}
    expected |= {f"movinet_a{n}_stream_k600_{p}" for n in range(3) for p in ("int8", "fp16")}
    assert set(PRETRAINED) == expected
    for field in ("address", "file_name"):
        assert len({getattr(entry, field) for entry in PRETRAINED.values()}) == len(expected)


@ENTRIES
def test_an_entry(entry):
    assert urlsplit(entry.address).scheme == "https"
    assert Path(entry.file_name).name == entry.file_name
    suffix = {"tensorflow": ".tar.gz", "paddlevideo": ".pdparams", "tflite": ".tflite"}
    assert entry.file_name.endswith(suffix[entry.file_format])
    assert entry.model in list_models()
    assert len(class_names(entry.class_list)) == entry.num_classes
    assert number_of_classes(pretrained_section(entry)) == entry.num_classes
    assert entry.sha256 is None or re.fullmatch("[0-9a-f]{64}", entry.sha256)
    assert entry.licence == "Apache-2.0"
    if entry.is_proven:
        assert entry.sha256 and entry.num_bytes
    with pytest.raises(dataclasses.FrozenInstanceError):
        entry.name = "other"


@ENTRIES
def test_the_clip_is_the_models_native_one(entry):
    spec = SPECS[entry.model.split("_")[1].upper()]
    assert (entry.num_frames, entry.pixels) == (spec.num_frames, spec.size)
    assert entry.short_side == spec.short_side
    if entry.frame_rate is not None:
        assert entry.frame_rate == pytest.approx(25 / spec.stride_frames)


def test_the_real_file_here(shared_dir):
    from paddlevideo.utils.files import sha256_of

    file = shared_dir / "pretrained" / "movinet-a0-stream-int8.tflite"
    if not file.is_file():
        pytest.skip("needs ../shared/pretrained")
    entry = find_entry("movinet_a0_stream_k600_int8")
    assert (file.stat().st_size, sha256_of(file)) == (entry.num_bytes, entry.sha256)
    labels = (shared_dir / "pretrained" / "kinetics600_labels.txt").read_text().splitlines()
    assert class_names("kinetics_600") == labels


@pytest.mark.parametrize(("name", "number"), [("kinetics_400", 400), ("kinetics_600", 600)])
def test_class_names(name, number):
    names = class_names(name)
    assert len(names) == len(set(names)) == number
    assert names == sorted(names)
    assert all(text == text.strip() and text for text in names)


def test_an_unknown_name():
    with pytest.raises(ConfigError, match='did you mean "kinetics_400"'):
        class_names("kinetics400")
    with pytest.raises(WeightsError, match='did you mean "movinet_a5_base_k400"'):
        find_entry("movinet_a5_base_400")


def test_the_page_lists_every_entry():
    rows = re.findall(
        r"^\| `(\w+)` \| `(\w+)` \| ([^|]*) \| ([^|]*) \| ([^|]*) \|$",
        (DOCS / "pretrained.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    expected = [
        (
            entry.name,
            entry.model,
            entry.class_list.replace("kinetics_", "Kinetics-"),
            accuracy_text(entry),
            "ours" if entry.is_proven else "publisher",
        )
        for entry in PRETRAINED.values()
    ]
    assert rows == expected


@ENTRIES
def test_the_accuracies_are_those_of_the_models_page(entry):
    """docs/models.md is written by hand from the same pages."""
    if entry.file_format != "tensorflow":
        return
    variant, column = entry.model.split("_")[1].upper(), entry.name.partition("_a")[2][2:]
    row = re.search(
        rf"^\| {variant} \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$",
        (DOCS / "models.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    columns = {"base_k600": row[1], "stream_k600": row[2], "base_k400": row[3]}
    assert columns[column] == accuracy_text(entry)

"""One numbering of the classes for every split: the training data's, or an error."""

import json
import shutil
import unicodedata

import pytest

from paddlevideo.tasks.build import build_split
from paddlevideo.tasks.class_names import RECORD_NAME, class_names, class_numbering
from paddlevideo.tasks.recipe import parse_recipe
from paddlevideo.utils.errors import DataError

STEPS = {
    "decode": {"name": "VideoDecoder"},
    "sample": {"name": "UniformSampler", "num_frames": 2},
    "transform": ["Image2Array"],
}


def classes(root, *names):
    for name in names:
        (root / name).mkdir(parents=True)
        (root / name / "v.mp4").touch()
    return str(root)


@pytest.fixture
def recipe_of(tmp_path):
    classes(tmp_path / "train", "a", "b", "c", "d")

    def make(class_names=None, num_classes=4, **roots):
        nodes = {s: {"format": "FolderDataset", "root": str(r)} for s, r in roots.items()}
        model = {"preset": "movinet_t0_base", "head": {"num_classes": num_classes}}
        return parse_recipe(
            {
                "MODEL": model,
                "DATASET": {"class_names": class_names, **nodes},
                "PIPELINE": {"train": STEPS, "valid": STEPS, "test": STEPS},
            }
        )

    return make


def labels(recipe, split, weights=None):
    found = build_split(recipe, split, weights=weights)
    return {record.path.rsplit("/", 2)[1]: record.label for record in found.records}


@pytest.mark.parametrize("split", ["valid", "test"])
def test_a_missing_class_does_not_shift_the_others(recipe_of, tmp_path, split, caplog):
    recipe = recipe_of(
        train=tmp_path / "train", **{split: classes(tmp_path / "other" / "x", "b", "d")}
    )
    assert labels(recipe, split) == {"b": 1, "d": 3}
    assert "no videos of 2 of 4 classes: a, c" in caplog.text


@pytest.mark.parametrize("name", ["D", "e"])
def test_an_unknown_class_is_named(recipe_of, tmp_path, name):
    test = classes(tmp_path / "test", "a", name)
    with pytest.raises(DataError, match=f"does not name the class folder {name} of"):
        build_split(recipe_of(train=tmp_path / "train", test=test), "test")


def test_composed_and_decomposed_letters_are_one_name(recipe_of, tmp_path):
    composed = "caf\u00e9"
    train = classes(tmp_path / "t", "a", composed, "z")
    test = classes(tmp_path / "v", unicodedata.normalize("NFD", composed), "z")
    assert list(labels(recipe_of(train=train, test=test), "test").values()) == [1, 2]


@pytest.mark.parametrize("place", ["train", "valid"])
def test_files_that_number_differently(recipe_of, tmp_path, place):
    valid = tmp_path / "other" / "valid"
    recipe = recipe_of(train=tmp_path / "train", valid=classes(valid, "a", "b", "c", "d"))
    root = tmp_path / "train" if place == "train" else valid
    (root / "classes.txt").write_text("b\na\nc\nd\n")
    if place == "train":
        assert labels(recipe, "valid") == {"b": 0, "a": 1, "c": 2, "d": 3}
    else:
        with pytest.raises(DataError, match=r"class 0 is b, and DATASET.train .* says a"):
            build_split(recipe, "valid")


def test_a_linked_root_finds_the_file_beside_the_link(recipe_of, tmp_path):
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "train").symlink_to(tmp_path / "train")
    (tmp_path / "links" / "classes.txt").write_text("d\nc\nb\na\n")
    assert labels(recipe_of(train=tmp_path / "links" / "train"), "train")["a"] == 3


@pytest.mark.parametrize("source", ["record", "config", "nothing"])
def test_without_the_training_data(recipe_of, tmp_path, source, caplog):
    test = classes(tmp_path / "test", "b", "d")
    run = tmp_path / "run"
    run.mkdir()
    names = ["a", "b", "c", "d"]
    if source == "record":
        (run / RECORD_NAME).write_text(json.dumps({"class_names": names}))
    shutil.rmtree(tmp_path / "train")
    stated = names if source == "config" else None
    recipe = recipe_of(class_names=stated, train=tmp_path / "train", test=test)
    weights = run / "m_best.pdparams"
    if source == "nothing":
        with pytest.raises(DataError, match="names 2 classes, the model has 4"):
            class_names(recipe, 4, weights)
        build_split(recipe, "test", weights=weights)
        assert "nothing tells whether the weights have the same" in caplog.text
    else:
        assert class_names(recipe, 4, weights) == names
        assert labels(recipe, "test", weights) == {"b": 1, "d": 3}


def test_training_data_that_changed_since_the_weights(recipe_of, tmp_path):
    (tmp_path / RECORD_NAME).write_text('{"class_names": ["a", "c", "d"]}')
    recipe = recipe_of(train=tmp_path / "train", test=tmp_path / "train")
    with pytest.raises(DataError, match=r"class 1 is b, and .*class_names\.json says c"):
        build_split(recipe, "test", weights=tmp_path / "m_best.pdparams")


@pytest.mark.parametrize("num_classes", [3, 5])
def test_as_many_names_as_classes(recipe_of, tmp_path, num_classes):
    recipe = recipe_of(train=tmp_path / "train", num_classes=num_classes)
    with pytest.raises(DataError, match=f"names 4 classes, the model has {num_classes}"):
        class_names(recipe, num_classes)


def test_class_names_of_the_config(recipe_of, tmp_path):
    train = tmp_path / "train"
    assert class_numbering(recipe_of(["d", "c", "b", "a"], train=train)).names[0] == "d"
    titles = recipe_of(["One", "Two", "Three", "Four"], train=train)
    assert class_numbering(titles).names == ["a", "b", "c", "d"]
    assert class_names(titles, 4) == ["One", "Two", "Three", "Four"]
    with pytest.raises(DataError, match="does not name the class folder d"):
        class_numbering(recipe_of(["a", "b", "c", "e"], train=train))
    numbered = tmp_path / "names.txt"
    numbered.write_text("\ufeff0\ta\n1\tb\n2\tc\n3\td\n", encoding="utf-8")
    assert class_names(recipe_of(str(numbered), train=train), 4) == ["a", "b", "c", "d"]

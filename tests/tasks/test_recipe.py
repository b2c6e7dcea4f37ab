"""The recipe: every key is known, every wrong one is a message with its place."""

import pytest

from paddlevideo.tasks.recipe import DatasetSection, parse_recipe
from paddlevideo.utils.config import parse_yaml, to_yaml
from paddlevideo.utils.errors import ConfigError

TEXT = """
MODEL:
  backbone: {name: MoViNet, model_type: A0}
  head: {name: ClassifierHead, num_classes: 4}
DATASET:
  batch_size: 2
  train: {format: VideoDataset, file_path: a.list}
  test: {format: VideoDataset, file_path: a.list}
PIPELINE:
  train: &pipeline
    decode: {name: VideoDecoder}
    sample: {name: UniformSampler, num_frames: 4}
    transform:
      - Scale: {short_size: 36}
      - CenterCrop: {target_size: 32}
      - RandomFlip:
      - Image2Array
  test: *pipeline
OPTIMIZER: {name: SGD, learning_rate: 0.1, weight_decay: {name: L2, value: 1e-4}}
"""
NORMALIZATION = {"Normalization": {"mean": [0.5] * 3, "std": [0.5] * 3}}


@pytest.fixture
def config() -> dict:
    return parse_yaml(TEXT, "config.yaml")


def changed(config: dict, path: str, value) -> dict:
    """``config`` with the node at ``path`` set; a value ... removes it."""
    *parents, last = path.split(".")
    node = config
    for part in parents:
        node = node[int(part)] if isinstance(node, list) else node.setdefault(part, {})
    if value is ...:
        del node[last]
    else:
        node[last] = value
    return config


def test_defaults(config):
    recipe = parse_recipe(config)
    assert recipe.MODEL["framework"] == "ClipRecognizer"
    assert (recipe.epochs, recipe.seed, recipe.device, recipe.weights) == (1, 0, "auto", None)
    assert recipe.METRIC == {"name": "TopKAccuracy"}
    assert recipe.run_folder.parts == ("output", "model")
    assert parse_recipe({**config, "output_dir": "x/y"}).run_folder.parts == ("x", "y")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("DATASETS", {}, r'^DATASETS: unknown key "DATASETS"; did you mean "DATASET"\?'),
        ("epoch", 3, r'^epoch: unknown key "epoch"; did you mean "epochs"\?'),
        ("DATASET.batch_sise", 3, r'^DATASET.batch_sise: unknown key .*did you mean "batch_size"'),
        ("PIPELINE.infer", {}, r'^PIPELINE.infer: unknown key "infer"; known: test, train, valid$'),
        ("GRADIENT_ACCUMULATION.size", 3, r"^GRADIENT_ACCUMULATION.global_batch_size: .*missing"),
        ("MODEL", ..., r"^MODEL: this section or key is missing"),
        ("MODEL.head", ..., r"^MODEL.*head.* missing|^MODEL: missing argument head"),
        ("MODEL.backbone.depth", 3, r'^MODEL.backbone: unknown argument "depth"'),
        ("MODEL.framework", "Clip", r'^MODEL.framework: unknown recognizer "Clip"'),
        ("MODEL.framework", ["Clip"], r"^MODEL.framework: unknown recognizer"),
        ("MODEL.preset", "movinet", r'^MODEL.preset: unknown model "movinet"'),
        ("MODEL.loss", {"name": "L"}, r'^MODEL.loss.name: unknown loss "L"'),
        ("DATASET.train.format", "Video", r'DATASET.train.*"Video"'),
        (
            "DATASET.train.sufix",
            "x",
            r'^DATASET.train: unknown argument "sufix"; did you mean "suf',
        ),
        ("PIPELINE.train.sample.num_frame", 1, r'^PIPELINE.train.sample: unknown .*"num_frames"'),
        ("PIPELINE.train.transform.0.Scale.short", 1, r"PIPELINE.train.transform.*\"short\""),
        ("PIPELINE.train.transform", [{"Scael": {}}], r'PIPELINE.train.transform.*"Scale"'),
        ("PIPELINE.train.sample", ..., r'^PIPELINE.train: "sample" is missing'),
        ("INFERENCE", {"name": "Helper"}, r"^INFERENCE"),
        ("OPTIMIZER.learning_rate", ..., r"^OPTIMIZER: the key learning_rate is missing"),
        ("OPTIMIZER.learning_rate", {"name": "X"}, r"^OPTIMIZER.learning_rate: unknown"),
        ("OPTIMIZER.momentun", 0.9, r'^OPTIMIZER: unknown argument "momentun"'),
        ("METRIC", {"name": "Top"}, r'^METRIC.name: unknown metric "Top"'),
        ("METRIC", None, r"^METRIC: .*dictionary"),
        ("epochs", 0, r"^epochs: .*greater than 0, got 0"),
        ("epochs", "many", r"^epochs: .*got 'many'"),
        ("seed", -1, r"^seed: "),
        ("seed", 2**70, r"^seed: "),
        ("model_name", "../../x", r"^model_name: it is part of file names"),
        ("model_name", "/x", r"^model_name: it is part of file names"),
        ("model_name", "..", r"^model_name: it is part of file names"),
        ("model_name", "", r"^model_name: it is part of file names"),
        ("model_name", "a\0b", r"^model_name: it is part of file names"),
        ("model_name", "é" * 60, r"^model_name: it is part of file names: at most 100 bytes"),
        ("MODEL.head.num_classes", -1, r"^MODEL.head.num_classes: .*got -1"),
        ("MODEL.head.num_classes", 1, r"^MODEL.head.num_classes: .*got 1"),
        ("MODEL.head.num_classes", 10**9, r"^MODEL.head.num_classes: .*got 1000000000"),
        ("MODEL.head.hidden_dim", 0, r"^MODEL.head.hidden_dim: .*got 0"),
        ("MODEL.head.dropout", float("nan"), r"^MODEL.head.dropout: .*got nan"),
        ("OPTIMIZER.learning_rate", float("nan"), r"^OPTIMIZER.learning_rate: .*got nan"),
        ("OPTIMIZER.learning_rate", -1.0, r"^OPTIMIZER.learning_rate .*0 or more"),
        ("DATASET.test_batch_size", 10**9, r"^DATASET.test_batch_size: "),
        ("DATASET.batch_size", 0, r"^DATASET.batch_size: .*got 0"),
        ("DATASET.num_workers", -1, r"^DATASET.num_workers: .*got -1"),
        ("DATASET.class_names", 3, r"^DATASET.class_names: .*got 3"),
        ("DATASET.on_unreadable", "skip", r"^DATASET.on_unreadable: .*'error' or 'count_wrong'"),
        ("DATASET", [], r"^DATASET: "),
        ("resume_epoch", "last", r"^resume_epoch: .*got 'last'"),
        ("weights", 3, r"^weights: .*dictionary, got 3"),
        ("weights", {"a": 3}, r"^weights\.a: .*string, got 3"),
        ("my-key", 3, r'^my-key: unknown key "my-key"'),
        ("PIPELINE.train.inputs", {"a": {}}, r"^PIPELINE.train.sample: stands beside inputs"),
        ("log_level", "LOUD", r"^log_level: .*'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
    ],
)
def test_wrong_keys(config, path, value, message):
    with pytest.raises(ConfigError, match=message) as caught:
        parse_recipe(changed(config, path, value))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("section", ["MULTIGRID", "DALI_LOADER"])
def test_not_served_sections(config, section):
    with pytest.raises(ConfigError, match=f"^{section}: .*(remove the section|do its work)"):
        parse_recipe({**config, section: {"name": "Mixup"}})
    assert parse_recipe({**config, section: None}) == parse_recipe(config)


@pytest.mark.parametrize("where", ["PIPELINE.train", "PIPELINE.test", "INFERENCE"])
def test_values_are_scaled_once(config, where):
    if where == "INFERENCE":
        config["INFERENCE"] = parse_yaml(TEXT, "again")["PIPELINE"]["test"]
    else:
        split = where.split(".")[1]
        config["PIPELINE"][split] = parse_yaml(TEXT, "again")["PIPELINE"][split]
    node = config["INFERENCE"] if where == "INFERENCE" else config["PIPELINE"][split]
    node["transform"].append(NORMALIZATION)
    with pytest.raises(ConfigError, match=f"^{where} lists Normalization, and the model scales"):
        parse_recipe(config)
    config["MODEL"]["scaling"] = {"scale": 0.5}
    with pytest.raises(ConfigError, match="lists Normalization"):
        parse_recipe(config)
    config["MODEL"]["scaling"] = {"scale": 1.0}
    parse_recipe(config)


def inputs(*names) -> dict:
    """A pipeline with inputs of these names."""
    node = {"sample": {"name": "UniformSampler", "num_frames": 4}, "transform": ["Image2Array"]}
    return {"decode": {"name": "VideoDecoder"}, "inputs": {name: node for name in names}}


@pytest.mark.parametrize("where", ["PIPELINE.train", "INFERENCE"])
def test_a_pipeline_gives_the_clips_of_the_model(config, where):
    """Of an ensemble one for each member; of any other model the one."""

    def with_pipeline(description):
        if where == "INFERENCE":
            return {**config, "PIPELINE": {}, "INFERENCE": description}
        return {**config, "PIPELINE": {"train": description}}

    plain = config["PIPELINE"]["train"]
    parse_recipe(with_pipeline(plain))
    message = f"^{where} gives clip_a, clip_b, but the model takes clip;"
    with pytest.raises(ConfigError, match=message):
        parse_recipe(with_pipeline(inputs("a", "b")))
    members = {name: config["MODEL"] for name in ("a", "b")}
    config["MODEL"] = {"framework": "EnsembleRecognizer", "members": members}
    recipe = parse_recipe(with_pipeline(inputs("b", "a")))
    assert parse_recipe(parse_yaml(recipe.to_yaml(), "again")) == recipe
    for wrong in (plain, inputs("a"), inputs("a", "b", "c")):
        with pytest.raises(ConfigError, match=f"^{where} gives .*, but the model takes clip_a, c"):
            parse_recipe(with_pipeline(wrong))


def test_values_of_each_view_are_scaled_once(config):
    scaling = [{"scaling": {"scale": 1.0}}, {}]
    members = {n: {**config["MODEL"], **s} for n, s in zip("ab", scaling, strict=True)}
    config["MODEL"] = {"framework": "EnsembleRecognizer", "members": members}
    config["PIPELINE"] = {"train": parse_yaml(to_yaml(inputs("a", "b")), "copy")}
    nodes = config["PIPELINE"]["train"]["inputs"]
    for node in nodes.values():
        node["transform"] = list(node["transform"])
    nodes["a"]["transform"].append(NORMALIZATION)
    parse_recipe(config)
    nodes["b"]["transform"].append(NORMALIZATION)
    with pytest.raises(ConfigError, match=r"^PIPELINE\.train\.inputs\.b lists Normalization"):
        parse_recipe(config)


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"weights": {"a": "a.pdparams", "b": "b.safetensors"}},
        {"MODEL": {"preset": "movinet_a2_base"}},
        {"DATASET": None, "PIPELINE": {}, "OPTIMIZER": None},
        {"resume_epoch": "latest", "weights": "1e-4"},
        {"METRIC": {"name": "CenterCropMetric", "topk": [1, 2]}},
    ],
)
def test_round_trip(config, extra):
    recipe = parse_recipe({**config, **extra})
    text = recipe.to_yaml()
    again = parse_recipe(parse_yaml(text, "config.yaml"))
    assert again == recipe and again.to_yaml() == text


def test_the_config_is_not_changed(config):
    before = repr(config)
    parse_recipe(config)
    assert repr(config) == before


def test_batch_sizes_and_workers_of_a_split():
    section = DatasetSection(batch_size=3, num_workers=2)
    sizes = [section.batch_size_of(split) for split in ("train", "valid", "test")]
    assert sizes == [3, 3, 8]  # PaddleVideo's default for test
    assert [section.num_workers_of(split) for split in ("train", "valid", "test")] == [2, 2, 2]
    section = DatasetSection(
        batch_size=3, valid_batch_size=4, test_batch_size=5,
        num_workers=2, valid_num_workers=0, test_num_workers=1,
    )  # fmt: skip
    assert [section.batch_size_of(split) for split in ("train", "valid", "test")] == [3, 4, 5]
    assert [section.num_workers_of(split) for split in ("train", "valid", "test")] == [2, 0, 1]


def test_the_pipeline_for_single_files(config):
    frames = {"format": "FrameDataset", "file_path": "a.list"}
    config["PIPELINE"]["test"] = {
        **config["PIPELINE"]["test"],
        "decode": {"name": "FrameDecoder"},
    }
    config["DATASET"]["test"] = frames
    description = parse_recipe(config).inference_description()
    assert description["decode"]["name"] == "VideoDecoder"
    own = {**description, "sample": {"name": "UniformSampler", "num_frames": 9}}
    assert parse_recipe({**config, "INFERENCE": own}).inference_description() == own
    with pytest.raises(ConfigError, match=r"neither INFERENCE nor PIPELINE.test"):
        parse_recipe({**config, "PIPELINE": {}}).inference_description()

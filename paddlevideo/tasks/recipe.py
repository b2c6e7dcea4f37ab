"""The recipe: a configuration whose sections and keys are checked, with a default for each.

The fixed keys are the fields below; what stands inside a component's node is checked against the
component's own signature (`paddlevideo.utils.registry`). A key that nobody reads is an error.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pydantic

from paddlevideo.loader import check_dataset
from paddlevideo.metrics import METRICS
from paddlevideo.modeling import RECOGNIZERS, resolve_model_section
from paddlevideo.solver import build_schedule, check_optimizer
from paddlevideo.tasks.listed_hooks import HOOKS
from paddlevideo.tasks.save_every import KeptStates, SaveEverySection
from paddlevideo.tasks.schedule_length import fill_length
from paddlevideo.tasks.stream_test import TestSection
from paddlevideo.utils.config import to_yaml, unknown_key
from paddlevideo.utils.errors import ConfigError, shown
from paddlevideo.utils.nodes import Node, ReadNode
from paddlevideo.utils.ranges import (
    BatchSize,
    Count,
    EpochNumber,
    FileName,
    Seed,
    Share,
    ThreadCount,
    WaitSeconds,
    WorkerCount,
)
from paddlevideo.video import Pipeline, for_video_files

SPLITS = ("train", "valid", "test")

# Sections that PaddleVideo has and that are not served here, with what to do instead.
_NOT_SERVED = {
    "MIX": "batch mixing is not available yet; remove the section",
    "PRECISEBN": "precise batch norm is not available yet; remove the section",
    "MULTIGRID": "multigrid training is not available yet; remove the section",
    "DALI_LOADER": "the DALI loader is not available; DATASET and PIPELINE do its work",
}


class _Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")


class DatasetSection(_Section):
    """DATASET: where the samples are and how they are batched (sizes are per process)."""

    batch_size: BatchSize = 8
    valid_batch_size: BatchSize | None = None
    test_batch_size: BatchSize = 8
    num_workers: WorkerCount = 0
    valid_num_workers: WorkerCount | None = None
    test_num_workers: WorkerCount | None = None
    # Validation order; the result does not depend on it.
    shuffle_valid: bool = False
    # Names of the classes: a list, or a file with one a line. A folder of classes has its own.
    class_names: list[str] | str | None = None
    # What a video that cannot be read means in validation and test.
    on_unreadable: Literal["error", "count_wrong"] = "error"
    # Share of an epoch's samples that may be unreadable in training; above it training stops.
    max_bad_share: Share = 0.2
    # After which a warning names the sample that is read; again at twice the time.
    worker_warn_seconds: WaitSeconds = 60.0
    # After which a worker process that reads one batch is an error; null: never.
    worker_timeout: WaitSeconds | None = None
    train: Node | None = None
    valid: Node | None = None
    test: Node | None = None

    @pydantic.model_validator(mode="after")
    def _timeout_has_workers(self) -> "DatasetSection":
        workers = (self.num_workers, self.valid_num_workers, self.test_num_workers)
        if self.worker_timeout is not None and not any(workers):
            raise ValueError(
                "worker_timeout has no effect without worker processes; set num_workers too"
            )
        return self

    def batch_size_of(self, split: str) -> int:
        """Clips per process and step."""
        if split == "test":
            return self.test_batch_size
        return (self.valid_batch_size if split == "valid" else None) or self.batch_size

    def num_workers_of(self, split: str) -> int:
        """Worker processes that read clips."""
        own = {"valid": self.valid_num_workers, "test": self.test_num_workers}.get(split)
        return self.num_workers if own is None else own

    def of(self, split: str) -> Node | None:
        """The node of a split."""
        return {"train": self.train, "valid": self.valid, "test": self.test}[split]


class PipelineSection(_Section):
    """PIPELINE: decode, sample and transform of each split."""

    train: Node | None = None
    valid: Node | None = None
    test: Node | None = None

    def of(self, split: str) -> Node | None:
        """The node of a split."""
        return {"train": self.train, "valid": self.valid, "test": self.test}[split]


class AccumulationSection(_Section):
    """GRADIENT_ACCUMULATION: one update from several batches."""

    # Clips per update over all processes; a multiple of batch_size x processes.
    global_batch_size: Count


class Recipe(_Section):
    """A whole configuration, checked."""

    # Modules that register components of the user's own (`paddlevideo.utils.user_modules`).
    imports: list[str] = []
    MODEL: Node
    DATASET: DatasetSection | None = None
    PIPELINE: PipelineSection = PipelineSection()
    OPTIMIZER: Node | None = None
    METRIC: Node = {"name": "TopKAccuracy"}
    TEST: TestSection = TestSection()
    # More hooks of the training loop, of those that are registered.
    HOOKS: list[Node] = []
    # Pipeline for single video files; default: that of the test split.
    INFERENCE: Node | None = None
    GRADIENT_ACCUMULATION: AccumulationSection | None = None
    # Names the run's files: output/<model_name>/<model_name>_best.pdparams.
    model_name: FileName = "model"
    epochs: Count = 1
    log_interval: Count = 10
    save_interval: Count = 1
    val_interval: Count = 1
    # Validations in a row without a better result after which training ends; null: it goes on.
    patience: Count | None = None
    output_dir: str | None = None
    # States beside those of save_interval, by steps, minutes or epochs; and how many are kept.
    save_every: SaveEverySection | None = None
    keep_states: KeptStates = 2
    # Go on from a state: "auto": the newest valid one, if any; or a state's or a run's folder.
    resume: str | None = None
    # The same by epochs: the state at the end of this one; "latest": as "auto".
    resume_epoch: EpochNumber | Literal["latest"] = 0
    # Go on although something differs that changes the result.
    resume_anyway: bool = False
    # Remove the run that lies in the folder and begin anew.
    overwrite: bool = False
    # Initial weights: a name of `paddlevideo download --list`, or a .pdparams or .safetensors file;
    # the option -w comes before it. For an ensemble also one for each member: {member: file}.
    weights: dict[str, str] | str | None = None
    # Stages that training leaves as they are: a name of the model's `freezable_stages`.
    freeze: str | None = None
    seed: Seed = 0
    device: str = "auto"
    # Threads of the math library on the CPU; default: the cores this process may use.
    num_threads: ThreadCount | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @property
    def run_folder(self) -> Path:
        """Where the run writes."""
        return Path(self.output_dir or Path("output") / self.model_name)

    @property
    def resumes(self) -> bool:
        """Whether the run is to go on from a state."""
        return self.resume is not None or bool(self.resume_epoch)

    def inference_description(self) -> Node:
        """The description of the pipeline for single video files.

        Raises:
            ConfigError: neither INFERENCE nor PIPELINE.test is there.
        """
        description = self.INFERENCE or self.PIPELINE.test or self.PIPELINE.valid
        if description is None:
            raise ConfigError("the config has neither INFERENCE nor PIPELINE.test")
        return for_video_files(description)

    def to_yaml(self) -> str:
        """The whole recipe with every default, as a config that gives the same recipe."""
        return to_yaml(self.model_dump())


def parse_recipe(config: ReadNode) -> Recipe:
    """Check a translated configuration completely; nothing is built.

    Raises:
        ConfigError: an unknown section, key, component or argument, a value of a wrong type,
            value scaling in both the pipeline and the model, or a pipeline that gives other clips
            than the model takes; the message has the YAML path.
    """
    for section, what_to_do in _NOT_SERVED.items():
        if config.get(section):
            raise ConfigError(f"{section}: {what_to_do}")
    served = {key: value for key, value in config.items() if key not in _NOT_SERVED}
    try:
        recipe = Recipe.model_validate(served)
    except pydantic.ValidationError as error:
        raise _config_error(error) from None
    recipe.MODEL = resolve_model_section(recipe.MODEL, "MODEL")
    _check_nodes(recipe)
    return recipe


def _check_nodes(recipe: Recipe) -> None:
    pipelines = {f"PIPELINE.{split}": recipe.PIPELINE.of(split) for split in SPLITS}
    _check_inputs(recipe.MODEL, {**pipelines, "INFERENCE": recipe.INFERENCE})
    for split in SPLITS:
        node = recipe.DATASET.of(split) if recipe.DATASET else None
        if node is not None:
            check_dataset(node, f"DATASET.{split}")
    METRICS.check(recipe.METRIC, "METRIC")
    for number, node in enumerate(recipe.HOOKS):
        HOOKS.check(node, f"HOOKS[{number}]")
    if recipe.OPTIMIZER is not None:
        fill_length(recipe.OPTIMIZER.get("learning_rate"), recipe.epochs)
        check_optimizer(recipe.OPTIMIZER, "OPTIMIZER")
        build_schedule(recipe.OPTIMIZER["learning_rate"], "OPTIMIZER.learning_rate")


def _check_inputs(model: Node, descriptions: Mapping[str, Node | None]) -> None:
    """Every pipeline gives the clips that the model takes, and values are scaled once."""
    wanted = RECOGNIZERS.get(model["framework"]).inputs_of_node(model)
    for where, description in descriptions.items():
        if description is None:
            continue
        given = Pipeline(description, where, training=where == "PIPELINE.train").inputs
        if set(given) != set(wanted):
            raise ConfigError(
                f"{where} gives {', '.join(given)}, but the model takes {', '.join(wanted)}; "
                "clip_<input> is made by an input of that name, clip by a pipeline without inputs"
            )
        for name, each in given.items():
            if each.scaled_by and wanted[name]:
                raise ConfigError(
                    f"{each.where} lists {each.scaled_by}, and the model scales its input too; "
                    "remove the step (MODEL.scaling takes mean and std) or set MODEL.scaling: "
                    "{scale: 1.0}"
                )


def _config_error(error: pydantic.ValidationError) -> ConfigError:
    first = error.errors()[0]
    loc = [str(part) for part in first["loc"]]
    if first["type"] != "extra_forbidden":  # there may be alternatives of a union, as list[str]
        loc = [part for part in loc if not any(char in part for char in "-[")]
    *parents, last = loc
    where = ".".join(parents)
    if first["type"] == "extra_forbidden":
        sections: dict[str, type[pydantic.BaseModel]] = {
            "": Recipe,
            "DATASET": DatasetSection,
            "PIPELINE": PipelineSection,
            "GRADIENT_ACCUMULATION": AccumulationSection,
            "TEST": TestSection,
            "save_every": SaveEverySection,
        }
        return unknown_key(where, last, list(sections[where].model_fields))
    at = ".".join((*parents, last))
    if first["type"] == "missing":
        return ConfigError(f"{at}: this section or key is missing")
    what = first["msg"].removeprefix("Value error, ")
    return ConfigError(f"{at}: {what}, got {shown(first['input'])}")

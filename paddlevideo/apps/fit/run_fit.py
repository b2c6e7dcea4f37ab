"""`fit`: check, split, plan, train, test, export and report, in one call that can be repeated."""

import logging
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml

from paddlevideo.apps.fit.cost import measure_cost
from paddlevideo.apps.fit.data_files import write_lists
from paddlevideo.apps.fit.finish import Finished, finish
from paddlevideo.apps.fit.options import FitOptions
from paddlevideo.apps.fit.plan import FROM_SCRATCH, PRETRAINED, Data, Plan, Wanted, make_plan
from paddlevideo.apps.fit.recipe import Choices, make_config, reading_pipeline
from paddlevideo.apps.fit.record import CHECKED, DONE, PLANNED, TRAINED, FitRecord, open_record
from paddlevideo.apps.fit.stages import Stages
from paddlevideo.apps.fit.training import Progress, command_of, train
from paddlevideo.apps.fit.weights import Start, choose_start
from paddlevideo.apps.own_videos import DataCheck, check_videos, choose_clip, flip_is_safe
from paddlevideo.apps.own_videos.records import TEST, TRAIN, VAL
from paddlevideo.apps.recipes import open_recipe
from paddlevideo.apps.reports.parts import DataCheck as DataCheckPart
from paddlevideo.apps.reports.parts import write_part
from paddlevideo.modeling import resolve_model_section
from paddlevideo.modeling.device import setup_device
from paddlevideo.modeling.interfaces import Recognizer
from paddlevideo.tasks.checkpoint import Checkpoints
from paddlevideo.utils.config import to_yaml
from paddlevideo.utils.errors import DataError
from paddlevideo.utils.files import write_text
from paddlevideo.utils.nodes import Node

logger = logging.getLogger(__name__)

CONFIG = "fit.yaml"
DATA_CHECK = "data_check.json"
_CHECK, _TRIALS, _TRAIN, _FINISH = "checking videos", "trying", "training", "testing and exporting"
_FINISH_SECONDS = 45.0
_TRAINING_SHARE = 0.85  # of what is left of the time after the check
_TRIAL_SHARE = 0.1  # of the epochs, for each of the two ways to begin
_SHORTEST_TRIALS = 0.25  # of the training's time that both may take


def fit(options: FitOptions, say: Callable[[str], None], is_shown: bool = True) -> Finished:
    """Make a model of a user's videos.

    A second call with the same options goes on where the first ended. Interrupted (Ctrl-C) after
    the first validation, the best model so far is tested and exported.

    Args:
        say: takes a line for people.
        is_shown: whether a progress bar is drawn.

    Raises:
        PaddleVideoError: the videos, the weights or the training; nothing is lost that was done.
        KeyboardInterrupt: before there is a model, or while it is exported; what is left is said.
    """
    record = open_record(options.output, options.as_dict())
    guess = {_CHECK: 20.0, _TRIALS: 20.0, _TRAIN: options.minutes * 45, _FINISH: _FINISH_SECONDS}
    stages = Stages(guess, say, is_shown)
    try:
        return _Fit(options, record, stages).run()
    except KeyboardInterrupt:
        what = (
            "Interrupted while testing and exporting"
            if record.has(TRAINED)
            else "Interrupted before there was a model: nothing of the training is kept"
        )
        stages.say(f"{what}. The same command goes on.")
        raise
    finally:
        stages.close()


class _Fit:
    def __init__(self, options: FitOptions, record: FitRecord, stages: Stages) -> None:
        self.options, self.record, self.stages = options, record, stages
        self.run_folder = options.output.resolve()
        self.device = setup_device(options.device)

    def run(self) -> Finished:
        """All stages that are not done yet."""
        if self.record.has(DONE):
            self.stages.say(f"{self.options.output} is done; its report is below.")
            return Finished.of(self.run_folder, self.record.facts["result"])
        if self.record.has(CHECKED):
            self.stages.say(f"Going on with {self.options.output}.")
        else:
            self._check()
        if not self.record.has(PLANNED):
            self._plan()
        interrupted = False if self.record.has(TRAINED) else self._train()
        with self.stages.stage(_FINISH) as share:
            result = finish(self.run_folder, self._recipe_file(), self.record.facts, share)
            self.record.reach(PLANNED if interrupted else DONE, result=result.as_dict())
        if interrupted:
            self.stages.say(
                "Interrupted: this is the best so far. The same command goes on with the training."
            )
        return result

    def _recipe_file(self) -> Path:
        return self.run_folder / CONFIG

    def _check(self) -> None:
        """Read every video, split, and write the lists."""
        options = self.options
        with self.stages.stage(_CHECK) as share:
            check = check_videos(
                options.videos,
                options.val_share,
                options.group,
                options.seed,
                options.cores,
                lambda done, of: share(done / of),
            )
        _show(check, self.stages.say)
        counts = write_lists(check, self.run_folder / "data")
        if not counts[VAL]:
            raise DataError(f"{options.videos}: no video is left to validate with; add some")
        found = check.as_dict()
        write_part(self.run_folder / DATA_CHECK, DataCheckPart(**found))
        usable = [check.scans[index] for index in check.kept]
        self.record.reach(
            CHECKED,
            counts=counts,
            class_names=list(check.videos.class_names),
            durations=[scan.duration_seconds for scan in usable],
            rates=[scan.frame_rate for scan in usable],
        )

    def _plan(self) -> None:
        """Choose weights, clips and the length of the training."""
        facts, options = self.record.facts, self.options
        names: list[str] = facts["class_names"]
        start = choose_start(options, len(names), self.stages.say)
        section = _for_small_sets(start)
        spec = open_model_of(resolve_model_section(section), 0).input_spec()
        clip = choose_clip(
            facts["durations"], 25.0 / spec.stride_frames, spec.num_frames, facts["rates"]
        )
        choices = Choices(
            frame_rate=clip.frame_rate,
            num_frames=_covering_frames(facts["durations"], clip.frame_rate, clip.num_frames),
            flip=flip_is_safe(names),
            num_classes=len(names),
            has_test=facts["counts"][TEST] > 0,
        )
        wanted = FROM_SCRATCH if start.weights is None else PRETRAINED
        plan = self._make_plan(section, choices, wanted, spec.height)
        config = make_config(
            self.run_folder,
            section,
            plan,
            wanted,
            choices,
            options.seed,
            options.device,
            _file_name(options.videos),
        )
        write_text(self._recipe_file(), to_yaml(config))
        open_recipe(self._recipe_file())
        flip = "mirrored at random" if choices.flip else "never mirrored, as the class names ask"
        self.stages.say(
            f"{start.sentence} {plan.epochs} epochs of {facts['counts'][TRAIN]} videos: clips of "
            f"{plan.num_frames} frames, {plan.side}x{plan.side} pixels, {clip.frame_rate:g} "
            f"frames/s, {flip}; about {max(1, round(plan.seconds / 60))} min in "
            f"{plan.processes} process{'es' if plan.processes > 1 else ''}."
        )
        self.record.reach(
            PLANNED,
            weights=start.weights,
            sentence=start.sentence,
            processes=plan.processes,
            epochs=plan.epochs,
            seconds=plan.seconds,
            flip=choices.flip,
            frame_rate=clip.frame_rate,
        )

    def _make_plan(self, section: Node, choices: Choices, wanted: Wanted, side: int) -> Plan:
        options, counts = self.options, self.record.facts["counts"]
        processes = options.num_processes(self.device == "cpu")
        processes = max(1, min(processes, counts[TRAIN] // 4))
        setup_device(options.device, 1 if processes > 1 else None)
        model = open_model_of(section, options.seed)
        train_list = self.run_folder / "data" / "train.list"
        lines = train_list.read_text(encoding="utf-8").splitlines()
        videos = [line.rpartition(" ")[0] for line in lines]
        cost = measure_cost(model, choices.num_classes, reading_pipeline(choices), videos, side)
        setup_device(options.device)
        data = Data(len(videos), counts[VAL], choices.num_frames)
        spent = self.stages.seconds_spent + _FINISH_SECONDS
        seconds = max(20.0, (60 * options.minutes - spent) * _TRAINING_SHARE)
        plan = make_plan(data, cost, wanted, seconds, processes, options.epochs)
        self.stages.expect(_TRAIN, plan.seconds)
        return plan

    def _train(self) -> bool:
        """Train; return whether it was interrupted after a first result."""
        facts = self.record.facts
        if "beginning" not in facts:
            weights = facts["weights"]
            better = None if weights is None else self._better_beginning(weights)
            self.record.reach(PLANNED, beginning=better)
        weights = facts["beginning"]
        try:
            with self.stages.stage(_TRAIN) as share:
                self._launch(self._recipe_file(), weights, self.run_folder, share)
        except KeyboardInterrupt:
            if not Checkpoints(
                self.run_folder, _file_name(self.options.videos)
            ).best_weights.exists():
                raise
            return True
        self.record.reach(TRAINED)
        return False

    def _launch(
        self, config: Path, weights: str | None, run: Path, share: Callable[[float], None]
    ) -> tuple[str, float] | None:
        """Train by a config; return the best validation result."""
        best: list[tuple[str, float]] = []

        def report(progress: Progress) -> None:
            share(progress.share)
            shown = f"epoch {progress.epoch}"
            if progress.headline is not None:
                name, value = progress.headline
                best.append(progress.headline)
                shown += f", {name} {value:.3f}"
            self.stages.note(shown)

        command = command_of(config, weights, self.record.facts["processes"], run / "log")
        train(command, run, report)
        return max(best, key=lambda pair: pair[1], default=None)

    def _better_beginning(self, weights: str) -> str:
        """Try to train the head alone first, and the whole network: what validates better goes on.

        Each takes a tenth of the epochs. Where that is too dear, the whole network is trained.
        """
        facts = self.record.facts
        epochs = max(1, round(_TRIAL_SHARE * facts["epochs"]))
        if 2 * epochs > _SHORTEST_TRIALS * facts["epochs"] or self.options.epochs is not None:
            return weights
        found: dict[str, float] = {}
        self.stages.expect(_TRIALS, 2 * epochs / facts["epochs"] * facts["seconds"] + 20)
        with self.stages.stage(_TRIALS) as share:
            for index, freeze in enumerate((None, "all_but_head")):
                folder = self.run_folder / f"trial_{freeze or 'whole'}"
                config = self._trial_config(folder, epochs, freeze)

                def half(part: float, done: int = index) -> None:
                    share((done + part) / 2)

                result = self._launch(config, weights, folder, half)
                found[folder.name] = -1.0 if result is None else result[1]
        better = max(found, key=lambda name: found[name])
        shutil.copyfile(
            self.run_folder / better / f"{_file_name(self.options.videos)}_best.pdparams",
            self.run_folder / "beginning.pdparams",
        )
        whole, head = found["trial_whole"], found["trial_all_but_head"]
        self.stages.say(
            f"After {epochs} epochs the whole network validates at {whole:.2f}, its head alone at "
            f"{head:.2f}: training goes on from the better."
        )
        for name in found:
            shutil.rmtree(self.run_folder / name, ignore_errors=True)
        return str(self.run_folder / "beginning.pdparams")

    def _trial_config(self, folder: Path, epochs: int, freeze: str | None) -> Path:
        config = yaml.safe_load(self._recipe_file().read_text(encoding="utf-8"))
        config |= {
            "output_dir": str(folder),
            "epochs": epochs,
            "freeze": freeze,
            "val_interval": epochs,
            "save_interval": epochs,
        }
        rate = config["OPTIMIZER"]["learning_rate"]
        rate["max_epoch"], rate["warmup_epochs"] = 4 * epochs, 0.5
        if freeze is not None:
            rate["cosine_base_lr"] *= 3
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / CONFIG
        write_text(path, to_yaml(config))
        return path


def open_model_of(section: Node, seed: int) -> Recognizer:
    """The recognizer of a MODEL section, with random weights."""
    import paddle

    from paddlevideo.modeling import build_recognizer

    paddle.seed(seed)
    return build_recognizer(section)


def _file_name(videos: Path) -> str:
    """The name of the videos' folder or list as part of file names."""
    name = re.sub(r"[^\w.-]+", "_", videos.resolve().stem).strip("._-")
    return name.encode()[:60].decode(errors="ignore") or "model"


def _for_small_sets(start: Start) -> Node:
    """What few videos and few steps want of a network."""
    section = dict(start.section)
    section["backbone"] = {**section["backbone"], "bn_momentum": 0.9}
    if start.weights is None:
        section["backbone"]["stochastic_depth"] = 0.2
    section["head"] = {**section["head"], "dropout": 0.5}
    section["loss"] = {"name": "CrossEntropyLoss", "label_smoothing": 0.1}
    return section


def _covering_frames(durations: list[float], rate: float, least: int) -> int:
    """Frames of a clip that shows all of most videos: what a stream of it sees."""
    known = [seconds for seconds in durations if seconds > 0]
    if not known:
        return least
    return int(np.clip(round(float(np.median(known)) * rate), min(least, 8), 64))


def _show(check: DataCheck, say: Callable[[str], None]) -> None:
    for table in check.tables()[:1]:
        rows = [[str(cell) for cell in row] for row in (table["columns"], *table["rows"])]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
    for sentence in check.sentences():
        say(sentence)
    sys.stdout.flush()

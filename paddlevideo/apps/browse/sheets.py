"""`sheets`: contact sheets of a config's samples, and of a mixed batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import paddle
from PIL import Image, ImageDraw

from paddlevideo.apps.browse.stages import as_pictures, stages_of, to_THWC
from paddlevideo.loader import ClipDataset
from paddlevideo.loader.batches import BatchReader
from paddlevideo.modeling import number_of_classes
from paddlevideo.tasks.build import build_loader, build_split
from paddlevideo.tasks.class_names import class_names
from paddlevideo.tasks.recipe import Recipe
from paddlevideo.utils.errors import DataError
from paddlevideo.utils.label_names import MIX_WEIGHT, MIXED_LABEL
from paddlevideo.utils.text_font import TextFont

_FRAMES = 8  # of each clip, evenly
_HEIGHT, _WIDEST = 112, 220  # of a small picture, pixels
_GAP, _MARGIN = 3, 8
_TEXT = 13
_PAPER, _INK, _FAINT = (255, 255, 255), (20, 24, 30), (90, 100, 110)
_STEPS_TRIED = 16  # for one whose batch is mixed


@dataclass(frozen=True)
class Sheet:
    """One picture.

    Attributes:
        name: of its file, without an ending.
        title: what it shows.
        image: the picture.
    """

    name: str
    title: str
    image: Image.Image


def sheets(recipe: Recipe, split: str, num_samples: int, epoch: int) -> Iterator[Sheet]:
    """Yield a sheet for each of the first samples of an epoch, then one of a mixed batch.

    The split ``train`` is read as in training: in its order, with its draws. A row of a sheet is
    the clip behind one step, the last one what the model gets.

    Raises:
        ConfigError: the config has no such split.
        DataError: a sample cannot be read.
    """
    num_classes = number_of_classes(recipe.MODEL)
    titles = _Titles(class_names(recipe, num_classes))
    dataset = build_split(recipe, split)
    loader = build_loader(recipe, split, dataset, num_classes)
    entries = [e for batch in loader.index_sampler.batches(epoch) for e in batch][:num_samples]
    for number, entry in enumerate(entries):
        yield _of_sample(dataset, epoch, entry % len(dataset), number, titles)
    if split == "train" and recipe.MIX is not None:
        yield _of_mixed(recipe, dataset, loader.index_sampler.batches(epoch), epoch, titles)


class _Titles:
    """Names of classes by their numbers."""

    def __init__(self, names: Sequence[str] | None) -> None:
        self._names = names

    def of(self, label: int | None) -> str:
        """The number and the name."""
        if label is None:
            return "no class"
        return f"{label} {self._names[label]}" if self._names is not None else f"class {label}"


def _of_sample(dataset: ClipDataset, epoch: int, index: int, number: int, titles: _Titles) -> Sheet:
    rows: list[tuple[str, np.ndarray]] = []
    path = ""
    label: int | None = None
    for stages in stages_of(dataset, epoch, index):
        rows += [(stage.title, stage.clip_THWC) for stage in stages]
        path, label = stages[-1].path, stages[-1].label
    title = f"{titles.of(label)}: {path} (epoch {epoch}, sample {index})"
    return Sheet(f"sample_{number:03}", title, contact_sheet(title, rows))


def _of_mixed(
    recipe: Recipe, dataset: ClipDataset, batches: list[list[int]], epoch: int, titles: _Titles
) -> Sheet:
    """The first batch of the epoch that is mixed."""
    mixing = recipe.build_mixing()
    reader = BatchReader(dataset)
    for step, entries in enumerate(batches[:_STEPS_TRIED]):
        read = {name: paddle.to_tensor(array) for name, array in reader[epoch, entries].items()}
        batch = mixing(read, epoch, step)
        if MIXED_LABEL in batch:
            break
    else:
        tried = min(_STEPS_TRIED, len(batches))
        raise DataError(
            f"MIX mixes none of the first {tried} batches of epoch {epoch}: mind its probability "
            "and off_epochs; browse another --epoch"
        )
    rows = []
    weight = float(batch[MIX_WEIGHT])
    for name, each in dataset.context.pipeline.inputs.items():
        clips = batch[name].numpy()
        for place in range(min(len(clips), _FRAMES)):
            of, other = (titles.of(int(batch[key][place])) for key in ("label", MIXED_LABEL))
            text = f"{of} {weight:.2f} + {other} {1 - weight:.2f}"
            rows.append((text, to_THWC(clips[place], each.output_layout)))
    title = f"{recipe.MIX['name'] if recipe.MIX else ''} (epoch {epoch}, step {step})"
    return Sheet("mixed_batch", title, contact_sheet(title, rows))


def contact_sheet(title: str, rows: Sequence[tuple[str, np.ndarray]]) -> Image.Image:
    """Rows of small pictures, each under its text.

    Args:
        title: above all of them.
        rows: text and clip [T, H, W, 3] of each, of which some frames at even distances are shown.
    """
    font = TextFont(_TEXT, (title, *(text for text, _ in rows)))
    strips = [_strip(clip_THWC) for _, clip_THWC in rows]
    width = max(480, *(strip.width for strip in strips)) + 2 * _MARGIN
    line = font.line_height + _GAP
    height = 2 * _MARGIN + line + sum(line + strip.height + _MARGIN for strip in strips)
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)

    def write(text: str, top: int, colour: tuple[int, int, int]) -> None:
        shown = font.shortened(font.legible(text), width - 2 * _MARGIN)
        draw.text((_MARGIN, top), shown, colour, font.pillow)

    write(title, _MARGIN, _INK)
    top = _MARGIN + line
    for (text, _), strip in zip(rows, strips, strict=True):
        write(text, top, _FAINT)
        sheet.paste(strip, (_MARGIN, top + line))
        top += line + strip.height + _MARGIN
    return sheet


def _strip(clip_THWC: np.ndarray) -> Image.Image:
    pictures = as_pictures(clip_THWC)
    num, height, width = pictures.shape[:3]
    chosen = np.unique(np.linspace(0, num - 1, min(num, _FRAMES)).round().astype(np.int64))
    scale = min(_HEIGHT / height, _WIDEST / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    strip = Image.new("RGB", (len(chosen) * (size[0] + _GAP) - _GAP, size[1]), _PAPER)
    for place, frame in enumerate(chosen):
        small = Image.fromarray(np.ascontiguousarray(pictures[frame]))
        small = small.resize(size, Image.Resampling.BILINEAR)
        strip.paste(small, (place * (size[0] + _GAP), 0))
    return strip

"""The optional files of a run that its report shows, and what they hold.

Each is JSON. `write_part` writes one from these classes, `read_part` reads it; a file that is not
there is None. What checks data, follows videos or knows what to do next writes them.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field, FiniteFloat, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from paddlevideo.utils.errors import DataError
from paddlevideo.utils.files import write_json
from paddlevideo.utils.text_files import read_json

DATA_CHECK_NAME = "data_check.json"
TIMELINES_NAME = "timelines.json"
NEXT_COMMANDS_NAME = "next_commands.json"

_MOST_CLASSES = 100_000

Cell = str | int | FiniteFloat | None
Part = TypeVar("Part")


@dataclass(frozen=True)
class Table:
    """A table of a data check.

    Attributes:
        title: what it shows.
        columns: titles of the columns.
        rows: as many cells each as there are columns.
    """

    title: str
    columns: list[str]
    rows: list[list[Cell]]

    @model_validator(mode="after")
    def _check_rows(self) -> "Table":
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"table {self.title[:50]}: a row has not {len(self.columns)} cells")
        return self


@dataclass(frozen=True)
class DataCheck:
    """``data_check.json``: what was found in the videos before training.

    Attributes:
        summary: sentences.
        tables: such as videos of each class in each split.
    """

    summary: list[str] = Field(default_factory=list)
    tables: list[Table] = Field(default_factory=list)


@dataclass(frozen=True)
class Timeline:
    """One video of ``timelines.json``: probabilities over its time.

    Attributes:
        path: the video.
        label: name of its class; None where it is not known.
        times_seconds: when each score was given, never decreasing.
        labels: names of the classes that are shown.
        scores: one list a class, of one probability a time.
    """

    path: str
    label: str | None
    times_seconds: list[FiniteFloat]
    labels: list[str]
    scores: list[list[Annotated[float, Field(ge=0, le=1)]]]

    @model_validator(mode="after")
    def _check_lengths(self) -> "Timeline":
        if len(self.scores) != len(self.labels):
            raise ValueError("scores needs one list for each of labels")
        if any(len(scores) != len(self.times_seconds) for scores in self.scores):
            raise ValueError("each list of scores needs one number for each of times_seconds")
        return self


@dataclass(frozen=True)
class NextCommand:
    """One of ``next_commands.json``.

    Attributes:
        title: what the command does.
        command: to copy into a terminal.
    """

    title: str
    command: str


@dataclass(frozen=True)
class Guess:
    """One of the best classes of a video in ``predictions.jsonl``."""

    index: Annotated[int, Field(ge=0, lt=_MOST_CLASSES)]
    label: str
    score: FiniteFloat


@dataclass(frozen=True)
class Answer:
    """One line of ``predictions.jsonl``; a video that could not be read has no ``top``."""

    path: str
    label: Annotated[int, Field(ge=0, lt=_MOST_CLASSES)]
    label_name: str
    readable: bool
    frames_read: int
    frames_lost: int
    top: list[Guess]
    label_score: FiniteFloat | None = None

    @model_validator(mode="after")
    def _check_top(self) -> "Answer":
        if self.readable and not self.top:
            raise ValueError("a readable video needs its best classes in top")
        return self

    @property
    def is_right(self) -> bool:
        """Whether the best class is the video's."""
        return self.readable and self.top[0].index == self.label


DATA_CHECK: TypeAdapter[DataCheck] = TypeAdapter(DataCheck)
TIMELINES: TypeAdapter[list[Timeline]] = TypeAdapter(list[Timeline])
NEXT_COMMANDS: TypeAdapter[list[NextCommand]] = TypeAdapter(list[NextCommand])
ANSWER: TypeAdapter[Answer] = TypeAdapter(Answer)


def read_part(path: Path, kind: TypeAdapter[Part]) -> Part | None:
    """What an optional file holds; None without the file.

    Raises:
        DataError: it holds something else.
    """
    if not path.exists():
        return None
    return checked(read_json(path, str(path), DataError), kind, str(path))


def checked(value: object, kind: TypeAdapter[Part], where: str) -> Part:
    """``value``, from JSON, as the class it describes.

    Raises:
        DataError: it does not; the message says where.
    """
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(map(str, first["loc"]))[:100]
        raise DataError(f"{where}: {key}: {first['msg'][:200]}; mend or remove it") from None


def write_part(path: Path, value: DataCheck | Sequence[Timeline] | Sequence[NextCommand]) -> None:
    """Write one of the optional files atomically."""
    if isinstance(value, DataCheck):
        write_json(path, asdict(value))
    else:
        write_json(path, [asdict(item) for item in value])

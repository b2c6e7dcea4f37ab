"""The names of Kinetics' classes in index order, as the released networks number them.

Both lists are sorted by name. Kinetics-600: the label file of TensorFlow's example
``lite/examples/video_classification`` (the released network's index order is held against it).
Kinetics-400: the names of the data set as they stand in public copies of its label list.
"""

from pathlib import Path

from paddlevideo.utils.errors import ConfigError, nearest_hint

_FOLDER = Path(__file__).parent / "class_lists"
CLASS_LISTS = ("kinetics_400", "kinetics_600")


def class_names(class_list: str) -> list[str]:
    """Return the names of ``kinetics_400`` or ``kinetics_600`` in index order.

    Raises:
        ConfigError: there is no such list.
    """
    if class_list not in CLASS_LISTS:
        raise ConfigError(
            f"no class list is named {class_list!r}; {nearest_hint(class_list, CLASS_LISTS)}"
        )
    return (_FOLDER / f"{class_list}.txt").read_text(encoding="utf-8").splitlines()

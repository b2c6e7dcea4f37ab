"""Mixed precision by config (section ``AMP``) and by option (``--amp``, ``--amp_level``)."""

from typing import Literal

import pydantic

from paddlevideo.tasks.step import Precision


class AmpSection(pydantic.BaseModel):
    """AMP: train in mixed precision, as ``--amp`` does.

    Attributes:
        dtype: ``auto`` is float16 on a GPU.
        level: O1 computes chosen operations in half precision; O2 keeps half weights too.
    """

    model_config = pydantic.ConfigDict(extra="forbid")

    dtype: Literal["auto", "float16", "bfloat16"] = "auto"
    level: Literal["O1", "O2"] = "O1"


def precision_of(
    section: AmpSection | None, amp: bool = False, level: Literal["O1", "O2"] | None = None
) -> Precision:
    """The precision of a training.

    Args:
        section: of the config; it alone is enough.
        amp: whether the option is given too.
        level: of the option; it comes before that of the section.
    """
    wanted = section or AmpSection()
    return Precision(amp or section is not None, level or wanted.level, wanted.dtype)

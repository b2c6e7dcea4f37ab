"""The learning rate that follows the clips an update is made of: the linear rule.

::

    learning_rate: {name: ..., reference_batch_size: 1024}

says that the schedule's rates are for updates of 1024 clips. For updates of N clips, over all
processes and accumulated batches, every rate of it, those of the warm-up too, is multiplied by
N / 1024 (Goyal et al., arXiv:1706.02677, section 2.1; its warm-up begins at the rate of a single
process, which a config says by ``warmup_start_lr``). Nothing else changes: lengths stay.
"""

import logging
from collections.abc import Mapping

import pydantic

from paddlevideo.utils.errors import ConfigError, shown
from paddlevideo.utils.nodes import ReadNode
from paddlevideo.utils.ranges import Count

logger = logging.getLogger(__name__)

REFERENCE_KEY = "reference_batch_size"
_COUNT: pydantic.TypeAdapter[int] = pydantic.TypeAdapter(Count)


def without_reference(
    node: float | ReadNode, where: str, global_batch_size: int | None
) -> tuple[float | ReadNode, float]:
    """Return a schedule's node without the key, and the factor of its rates (1.0 without it).

    Args:
        node: a number, or ``{name: ..., arguments, reference_batch_size}``.
        where: YAML path of the node.
        global_batch_size: clips of an update; None: the key is only checked.

    Raises:
        ConfigError: a reference that is no whole number above 0.
    """
    if not isinstance(node, Mapping) or REFERENCE_KEY not in node:
        return node, 1.0
    at, value = f"{where}.{REFERENCE_KEY}", node[REFERENCE_KEY]
    try:
        reference = _COUNT.validate_python(value, strict=True)
    except pydantic.ValidationError:
        raise ConfigError(
            f"{at}: expected the clips of an update that the rates are for, a whole number above "
            f"0, got {shown(value)}"
        ) from None
    plain = {key: item for key, item in node.items() if key != REFERENCE_KEY}
    if global_batch_size is None or global_batch_size == reference:
        return plain, 1.0
    factor = global_batch_size / reference
    logger.info(
        "learning rates x %g: an update is of %d clips, and %s is %d",
        factor, global_batch_size, at, reference,
    )  # fmt: skip
    return plain, factor

"""Optimizers and learning-rate schedules.

May import ``modeling``, ``weights`` and ``utils``. Begin reading in `optimizers`.
"""

from paddlevideo.solver.optimizers import build_optimizer, check_optimizer, create_state
from paddlevideo.solver.schedules import Schedule, build_schedule

__all__ = ["Schedule", "build_optimizer", "build_schedule", "check_optimizer", "create_state"]

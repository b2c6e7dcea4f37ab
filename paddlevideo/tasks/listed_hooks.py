"""The hooks that a config may list in HOOKS: importing this registers those that come with us."""

from paddlevideo.tasks.board_writers import TensorBoardWriter, VisualDLWriter
from paddlevideo.tasks.hooks import HOOKS

__all__ = ["HOOKS", "TensorBoardWriter", "VisualDLWriter"]

"""Programs that ``paddle.jit.save`` wrote, read as data; nothing of them is run.

May import what ``convert`` may. Begin reading in `program`.
"""

from paddlevideo.convert.paddle_program.program import Operation, Program, read_program

__all__ = ["Operation", "Program", "read_program"]

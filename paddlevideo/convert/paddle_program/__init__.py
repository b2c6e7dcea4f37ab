"""Programs that ``paddle.jit.save`` wrote, read as data; nothing of them is run."""

from paddlevideo.convert.paddle_program.program import Operation, Program, read_program

__all__ = ["Operation", "Program", "read_program"]

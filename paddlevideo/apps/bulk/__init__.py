"""Many files: their results, and the processes that make them.

May import ``runtime``, ``video`` and ``utils``, never Paddle. Begin reading in `prediction`.
"""

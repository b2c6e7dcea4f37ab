"""Many files: their results, and the processes that make them.

Imports ``runtime``, ``video`` and ``utils``, never Paddle. Begin reading in `prediction`.
"""

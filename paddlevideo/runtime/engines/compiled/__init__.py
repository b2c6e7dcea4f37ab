"""An engine of our own for one frame of a stream on the CPU.

May import what ``runtime`` may, and numba. Begin reading in `engine`, which says how it works.
"""

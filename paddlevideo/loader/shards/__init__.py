"""Tar shards: reading them in place, their index, the order of their samples, writing them.

May import what ``loader`` may. Begin reading in `index`.
"""

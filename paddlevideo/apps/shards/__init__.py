"""Samples of a list, a folder or a config, written into tar shards.

May import what ``apps`` may. Begin reading in `writing`.
"""

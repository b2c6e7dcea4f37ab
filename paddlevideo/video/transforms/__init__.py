"""Transforms of a whole clip: an array in, an array out. One file each.

May import what ``video`` may. Begin reading in `scale`.
"""

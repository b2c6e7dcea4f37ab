"""Frame samplers: which frames of a video become the clip. One file each.

May import what ``video`` may. Begin reading in `strided`.
"""

"""Sessions and pools: networks that follow streams frame by frame.

May import what ``runtime`` may. Begin reading in `session`.
"""

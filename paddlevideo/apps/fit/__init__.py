"""From a folder of videos to a trained, tested, exported and reported model, in one call.

May import what ``apps`` may. Begin reading in `run_fit`.
"""

"""Contact sheets of what the model sees: a sample behind each step of its pipeline.

May import what ``apps`` may. Begin reading in `sheets`.
"""

"""Visualizations of what a stream showed: on the video itself, and over time.

May import what ``apps`` may. Begin reading in `visualizations`.
"""

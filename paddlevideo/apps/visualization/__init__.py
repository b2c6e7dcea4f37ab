"""Visualizations of what a stream showed: on the video itself, and over time."""

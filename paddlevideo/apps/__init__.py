"""What people run: fit, reports, sources of frames, visualization, bulk prediction, comparison."""

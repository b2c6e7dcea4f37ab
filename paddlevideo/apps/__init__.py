"""What people run: fit, reports, sources of frames, visualization, bulk prediction, comparison.

May import every package but ``cli``. Begin reading in `fit.run_fit` or `bulk.prediction`.
"""

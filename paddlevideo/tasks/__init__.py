"""Train and test: the loop, and nothing that knows a model's name.

May import every package but ``export``, ``convert``, ``apps`` and ``cli``. Begin reading in
`train`.
"""

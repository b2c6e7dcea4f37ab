"""Train and test: the loop, and nothing that knows a model's name."""

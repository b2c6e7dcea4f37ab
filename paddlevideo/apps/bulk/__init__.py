"""Many files: their results, and the processes that make them."""

"""An engine of our own for one frame of a stream on the CPU; `engine` says how it works."""

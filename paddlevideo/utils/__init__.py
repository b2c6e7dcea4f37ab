"""Registry, configuration, logging, files and processes: everything that knows nothing of video.

Imports no other package. Begin reading in `registry` and `config`.
"""

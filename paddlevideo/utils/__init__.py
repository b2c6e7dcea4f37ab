"""Registry, configuration, logging, files and devices: everything that knows nothing of video."""

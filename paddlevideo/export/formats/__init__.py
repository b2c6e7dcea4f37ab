"""The formats a model is exported in, one file each: every module in this folder is one.

May import what ``export`` may. Begin reading in `onnx`.
"""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

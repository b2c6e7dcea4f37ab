"""The family from training to a quantised stream, by the commands: nothing in the package knows it.

`trained` and `bundle` (conftest.py) are a run of ``main.py`` and its export.
"""

import json
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from end_to_end.conftest import ROOT, metrics
from end_to_end.test_resume import check_identical

from paddlevideo.export.exporter import EXPORTERS
from paddlevideo.runtime import load_predictor, read_bundle
from paddlevideo.runtime.bundle import open_engine
from paddlevideo.runtime.engines import EngineOptions
from paddlevideo.utils.errors import ConfigError
from paddlevideo.weights import read_weights
from second_family.conftest import NAME, options

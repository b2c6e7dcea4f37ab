"""The type of what YAML and JSON files hold, which is checked where it is read."""

from collections.abc import Mapping
from typing import Any

Node = dict[str, Any]
ReadNode = Mapping[str, Any]

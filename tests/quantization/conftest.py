"""The small network of the runtimes' tests."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_path = Path(__file__).parents[1] / "runtimes" / "conftest.py"
_spec = importlib.util.spec_from_file_location("runtimes_conftest", _path)
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
pixels, float_graph, float_logits = _module.pixels, _module.float_graph, _module.float_logits
int8_graph, facts = _module.int8_graph, _module.facts

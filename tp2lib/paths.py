"""The folders of the pack, found from the library's own location, so that a notebook works from any folder."""

from __future__ import annotations

import os
from pathlib import Path

_clone = Path(__file__).resolve().parent.parent

ROOT = _clone if (_clone / "pyproject.toml").is_file() else Path.cwd()
"""The clone; the current folder where tp2lib was installed without one."""
INPUTS = ROOT / "inputs"
"""Source photos."""
NOTEBOOKS = ROOT / "notebooks"
"""The course."""
OUTPUTS = Path(os.environ.get("TP2_OUTPUTS") or ROOT / "outputs")
"""What is written; the environment variable TP2_OUTPUTS names another folder."""

"""The score panel in a real browser: a whole session by keyboard, and the log that it leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from served import CHROMIUM, serving

from tp2lib.evaluation.ratings import read_ratings

TESTS = Path(__file__).parent
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian: apt-get install chromium)"),
]

PAGE = """
import sys
from pathlib import Path
sys.path.insert(0, TESTS)
from filled import fill
from tp2lib.evaluation.panels import ScorePanel
from tp2lib.evaluation.scoring import BlindScoring
outputs = Path("outputs")
runs = fill(outputs, ["t2i_run01_baseline", "t2i_run05_guid12", "i2i_run09_strength085"])
ScorePanel(BlindScoring(list(runs.values()), "alice", outputs=outputs, seed=1))
"""


def test_a_session_by_keyboard_alone(tmp_path):
    pytest.importorskip("playwright", reason="playwright is not installed")
    pytest.importorskip("voila", reason="voila is not installed")
    shots = Path(os.environ.get("TP2_SCREENSHOTS") or tmp_path)
    shots.mkdir(parents=True, exist_ok=True)
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(PAGE.replace("TESTS", repr(str(TESTS))))])
    book.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(book, tmp_path / "page.ipynb")

    def command(port: int) -> list[str]:
        return [sys.executable, "-m", "voila", "page.ipynb", f"--port={port}", "--no-browser", "--Voila.port_retries=0", "--show_tracebacks=True"]

    with serving(command, tmp_path / "server.log", cwd=tmp_path, env={**os.environ, "JUPYTER_CONFIG_DIR": str(tmp_path)}) as port:
        drive = [sys.executable, str(TESTS / "drive_scoring.py"), CHROMIUM, f"http://127.0.0.1:{port}/", str(shots)]
        done = subprocess.run(drive, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["disabled"] and seen["errors"] == [] and seen["script"] == 0 and "settings are not shown" in seen["alt"]
    known = read_ratings(tmp_path / "outputs" / "scores" / "alice.jsonl")
    assert known.locked and not known.altered
    assert [list(known.scores[code].values()) for code in ("01", "02", "03", "04")] == [
        [2, 1, 0, 1], [0, 1, 1, 1], [2, 2, 2, 2], [1, 0, 1, 0],
    ]  # fmt: skip

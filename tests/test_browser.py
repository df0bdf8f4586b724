"""The mini-product in a real browser: in JupyterLab, and served as an app; moved, stopped, fed, recalled, compared."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from plotted import picture
from served import CHROMIUM, serving

from tp2lib.evaluation import BACKPACK
from tp2lib.widgets.app import read_page

TESTS = Path(__file__).parent
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian: apt-get install chromium)"),
]


def prepare(folder: Path) -> None:
    """Put down the notebook that JupyterLab opens, and its settings."""
    nbformat.write(read_page(), folder / "page.ipynb")
    asks = folder / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    asks.parent.mkdir(parents=True)
    asks.write_text('{"fetchNews": "false"}')  # or a box asks about it, in front of what is clicked


def command(front: str, port: int, folder: Path) -> list[str]:
    if front == "app":
        code = f"from pathlib import Path; from tp2lib.widgets.app import serve; serve(port={port}, browser=False)"
        return [sys.executable, "-c", code]
    options = {"port": port, "port_retries": 0, "open_browser": False, "root_dir": folder, "ip": "127.0.0.1"}
    plain = [f"--ServerApp.{name}={value}" for name, value in options.items()]
    return [
        sys.executable,
        "-m",
        "jupyterlab",
        *plain,
        "--IdentityProvider.token=",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.expose_app_in_browser=True",  # the driver asks the application itself for its state
        "--allow-root",
    ]


@pytest.mark.parametrize("front", ["app", "lab"])
def test_a_person_can_use_it(front, tiny_folder, tmp_path) -> None:
    pytest.importorskip("playwright", reason="playwright is not installed")
    shots = Path(os.environ.get("TP2_SCREENSHOTS") or tmp_path) / front
    shots.mkdir(parents=True, exist_ok=True)
    picture(2, side=120).save(shots / "photo.png")
    settings = {
        **os.environ, "TP2_VITRINE": str(tiny_folder), "TP2_OUTPUTS": str(tmp_path / "outputs"), "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
        "JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings"), "JUPYTERLAB_WORKSPACES_DIR": str(tmp_path / "workspaces"),
    }  # fmt: skip
    settings.pop("TP2_MODEL", None)
    prepare(tmp_path)
    with serving(lambda port: command(front, port, tmp_path), shots / "server.log", env=settings, cwd=tmp_path) as port:
        address = f"http://127.0.0.1:{port}/" + ("lab/tree/page.ipynb" if front == "lab" else "")
        drive = [sys.executable, str(TESTS / "drive_browser.py"), CHROMIUM, address, str(shots), front]
        done = subprocess.run(drive, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stderr[-3000:]
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["steps"] == "4" and seen["configuration"]["steps"] == 4 and seen["width"] == "64"
    assert "4 steps" in seen["alt"] and seen["recalled_steps"] == "4"
    if front == "lab":
        cells = [cell for cell in read_page().cells if cell.cell_type == "code"]
        assert seen["counts"] == [*range(1, len(cells) + 1)]  # no cell was lost
    known = json.loads((tiny_folder / "words.json").read_text())
    assert seen["unknown_words"] == len({*re.findall(r"[a-z]+", BACKPACK)} - {*known}) == 10  # the prompt that the tool begins with
    assert not seen["painted_by_others"]  # the right button and a second finger
    assert seen["differ"] == ["prompt", "source", "strength", "steps"] and seen["markup"] == 0 and seen["title"] != "1"
    assert seen["errors"] == []
    share = [float(seen[when].removeprefix("kept: ").partition("%")[0]) for when in ("found", "drawn", "by_keyboard")]
    assert seen["redrawn"] and "confidence" in seen["found"] and 1 < share[1] - share[0] < 4  # the box has 2.2 % of the photo
    assert share[2] < share[1]
    assert len(list((tmp_path / "outputs" / "runs").glob("*.png"))) == 3

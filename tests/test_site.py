"""tp2lib.cli.site and tp2lib.cli.stills: the course to read without running anything."""

from __future__ import annotations

import base64
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import ipywidgets
import nbformat
import pytest
from ipywidgets.embed import dependency_state
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from PIL import Image
from strategies import encoded

from tp2lib.cli import site as pages
from tp2lib.cli.stills import Stills
from tp2lib.errors import OutputError
from tp2lib.paths import NOTEBOOKS

MB = 25  # the whole site
RED = encoded(Image.new("RGB", (8, 8), "red"))
SPHINX = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::PendingDeprecationWarning", "ignore::ResourceWarning"
)  # its parts warn of each other


def executed(*shown: ipywidgets.Widget, html: str = "", text: str = "") -> nbformat.NotebookNode:
    """A notebook as nbclient leaves it: a cell a widget, and their states."""
    states = {"version_major": 2, "version_minor": 0, "state": dependency_state(shown, drop_defaults=False) if shown else {}}
    view = "application/vnd.jupyter.widget-view+json"
    outputs = [nbformat.v4.new_output("execute_result", {view: {"model_id": one.model_id}, "text/plain": "Box()"}) for one in shown]
    if html:
        outputs.append(nbformat.v4.new_output("display_data", {"text/html": html, "text/plain": "x"}))
    if text:
        outputs.append(nbformat.v4.new_output("stream", name="stdout", text=text))
    cells = [nbformat.v4.new_markdown_cell("# 01 · A page\n\n[next](02_b.ipynb), [the README](../README.md)")]
    cells += [nbformat.v4.new_code_cell("x", outputs=[one]) for one in outputs]
    book = nbformat.v4.new_notebook(cells=cells)
    book.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book.metadata.widgets = {"application/vnd.jupyter.widget-state+json": states}
    return book


def drawn(widget: ipywidgets.Widget, folder: Path) -> str:
    book = Stills(executed(widget), folder, "pictures").still()
    assert "widgets" not in book.metadata
    return book.cells[1].outputs[0].data["text/html"]


def test_a_panel_is_a_still_picture_with_a_caption(tmp_path):
    slider = ipywidgets.IntSlider(value=5, min=1, max=150, description="steps")
    away = ipywidgets.HTML("never seen", layout={"display": "none"})
    panel = ipywidgets.VBox([slider, away, ipywidgets.HBox([ipywidgets.Button(description="Generate")]), ipywidgets.HTML("<b>Done</b>")])
    text = drawn(panel, tmp_path)
    assert 'type="range"' in text and 'max="150"' in text and "<output>5</output>" in text and "<b>Done</b>" in text
    assert "never seen" not in text
    assert "<figcaption>Controls: steps. Buttons: Generate. A still picture of how the run left it; in the notebook it answers.</figcaption>" in text


@pytest.mark.parametrize(
    ("widget", "telling"),
    [
        (ipywidgets.FloatSlider(value=7.5, max=20, description="guidance"), "<output>7.5</output>"),
        (ipywidgets.Dropdown(options=["DDIM", "EulerA"], value="EulerA", description="scheduler"), "<option>EulerA</option>"),
        (ipywidgets.ToggleButtons(options=["a", "b"], value="b"), "<span class=chosen>b</span>"),
        (ipywidgets.RadioButtons(options=["a", "b"], value=None), "<span>a</span>"),
        (ipywidgets.Textarea("a <red> apple", description="prompt"), "a &lt;red&gt; apple</textarea>"),
        (ipywidgets.Checkbox(True, description="lock"), " checked"),
        (ipywidgets.IntProgress(3, max=7), '<progress max="7" value="3">'),
        (ipywidgets.Tab([ipywidgets.Label("one"), ipywidgets.Label("two")], titles=["A", "B"], selected_index=1), "<div>two</div>"),
        (ipywidgets.Accordion([ipywidgets.Label("inside")], titles=["More"]), "<summary>More</summary><div>inside</div>"),
        (ipywidgets.Image(value=RED, format="png"), '<img src="pictures/'),
    ],
    ids=lambda one: type(one).__name__,
)
def test_every_kind_of_widget_is_drawn(widget, telling, tmp_path):
    assert telling in drawn(widget, tmp_path)


def test_pictures_leave_the_html_and_are_kept_once(tmp_path):
    one = f'<img src="data:image/png;base64,{base64.b64encode(RED).decode()}" alt="red">'
    book = Stills(executed(html=one + one), tmp_path, "../pictures").still()
    (file,) = tmp_path.iterdir()
    assert file.read_bytes() == RED
    assert book.cells[1].outputs[0].data["text/html"] == f'<img src="../pictures/{file.name}" alt="red">' * 2


def test_what_stands_in_the_way_is_said(tmp_path, monkeypatch):
    with pytest.raises(OutputError, match="has no executed notebooks"):
        pages.build_pages(tmp_path / "site", tmp_path, say=len)
    for wrong in ("", "{}", '{"a": 1}', "[]"):
        (tmp_path / "01_smoke.ipynb").write_text(wrong)
        with pytest.raises(OutputError, match="01_smoke.ipynb cannot be read as a notebook"):
            pages.build_pages(tmp_path / "site", tmp_path, say=len)
    (tmp_path / "01_smoke.ipynb").unlink()
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="has other things in it"):
        pages.build_pages(tmp_path, tmp_path, say=len)
    assert (tmp_path / "mine.txt").read_text() == "mine"
    monkeypatch.setitem(sys.modules, "sphinx.application", None)
    with pytest.raises(OutputError, match=r"`uv sync --inexact --extra pages`, or `pip install -e '.\[pages\]'`"):
        pages.build_pages(tmp_path / "site", tmp_path, say=len)


@pytest.mark.parametrize("fault", [DeadKernelError("Kernel died"), CellTimeoutError("A cell timed out\nafter 1800 seconds.")])
def test_a_kernel_that_dies_or_hangs_is_one_sentence(fault, tmp_path, monkeypatch):
    def execute(client, **options):
        raise fault

    monkeypatch.setattr("nbclient.NotebookClient.execute", execute)
    with pytest.raises(OutputError, match=r"01_smoke\.ipynb failed: .* Close other programs"):
        pages.execute_notebooks(tmp_path, say=len)


class Loads(HTMLParser):
    """What a page loads by itself, its links, and its words."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.empty_alts = 0
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag in ("script", "img", "iframe", "source") and given.get("src"):
            self.loaded.append(given["src"])
        if tag == "link" and given.get("rel") != "canonical" and given.get("href"):
            self.loaded.append(given["href"])
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])


def check_site(site: Path) -> None:
    """Nothing is loaded from elsewhere, every link of ours leads to a file, and it is not large."""
    for page in site.rglob("*.html"):
        seen = Loads(page)
        for address in [*seen.loaded, *(link for link in seen.links if not re.match("https?:|mailto:", link))]:
            target = re.sub(r"[?#].*", "", address)
            assert not re.match(r"(?:\w+:)?//", address), (page, address)
            assert not target or address.startswith("data:") or (page.parent / target).exists(), (page, address)
    assert not [sheet for sheet in site.rglob("*.css") if re.search(r"@import|url\(['\"]?(?:https?:)?//", sheet.read_text(encoding="utf-8"))]
    assert sum(file.stat().st_size for file in site.rglob("*") if file.is_file()) < MB * 1e6


@pytest.mark.slow
@SPHINX
def test_a_site_is_built_and_loads_nothing_from_elsewhere(tmp_path):
    slider = ipywidgets.VBox([ipywidgets.IntSlider(description="steps")])
    (course := tmp_path / "course").mkdir()
    where = course / "outputs"
    nbformat.write(executed(slider, text=f"saved in {where}, not in {where}2"), course / "01_a.ipynb")
    assert pages.build_pages(tmp_path / "site", course, say=len) == []
    check_site(tmp_path / "site")
    page = (tmp_path / "site" / "notebooks" / "01_a.html").read_text(encoding="utf-8")
    assert "A still picture of how the run left it" in page and f"{where}/" not in page and "saved in outputs, not in" in page
    api = (tmp_path / "site" / "api" / "tp2lib.html").read_text(encoding="utf-8")
    assert "tp2lib.generate" in api and "Raises" in api
    assert pages.build_pages(tmp_path / "site", course, say=len) == []  # over an older one


@pytest.mark.slow
@pytest.mark.course
@SPHINX
def test_the_course_as_it_was_executed_becomes_a_site(executed_course, tmp_path):
    """The notebooks' own tests have executed them; see the root conftest."""
    assert pages.build_pages(tmp_path / "site", executed_course, say=len) == []
    check_site(tmp_path / "site")
    for path in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"):
        page = (tmp_path / "site" / "notebooks" / f"{path.stem}.html").read_text(encoding="utf-8")
        assert page.count("<img") >= 2 and "widget-view" not in page and "Out[" not in page
    for name in ("report", "rapport"):
        assert (tmp_path / "site" / "report" / f"{name}.html").read_text(encoding="utf-8").count("<img") >= 11

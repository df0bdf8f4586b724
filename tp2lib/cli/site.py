"""The course as a static site, ``tp2 pages``: executed notebooks, report, model card and API, to read without running anything.

Sphinx builds it from a folder that is put together first: the clone's Markdown, the notebooks with their widgets as still
pictures, the report in every language, and a page of the API for each door. Nothing is fetched, neither while it is built
nor while it is read.
"""

from __future__ import annotations

import importlib
import inspect
import io
import json
import os
import re
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tp2lib.cli.stills import Stills
from tp2lib.errors import OutputError
from tp2lib.evaluation.languages import LANGUAGES, words
from tp2lib.paths import NOTEBOOKS, ROOT

DOORS = ("tp2lib", "tp2lib.plots", "tp2lib.metrics", "tp2lib.widgets", "tp2lib.evaluation", "tp2lib.report", "tp2lib.course")
_TEXTS = ("README.md", "TEACHING.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "vitrine/README.md", "outputs/README.md")
_CELL_S = 1800  # seconds for one cell, on a slow machine
_LINK = re.compile(r"(?<!!)\[([^\]\n]*)\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def execute_notebooks(to: Path, *, say: Callable[[str], Any] = print) -> Path:
    """Execute the course from an empty outputs folder, and write the executed notebooks to `to`, beside ``to/outputs``."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    to.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "TP2_OUTPUTS": str(to.resolve() / "outputs")}
    for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")):
        say(f"executing {path.name}")
        book = _read(path)
        quiet = ["--IPKernelApp.log_level=ERROR"]  # each kernel warns that it listens unencrypted, to this machine only
        client = NotebookClient(book, timeout=_CELL_S, extra_arguments=quiet, resources={"metadata": {"path": str(NOTEBOOKS)}})
        try:
            client.execute(env=environment)
        except CellExecutionError as error:
            raise OutputError(f"{path.name} failed: {error.ename}: {error.evalue}. Run it in JupyterLab to see where.") from None
        except (CellTimeoutError, DeadKernelError) as error:  # too slow, or out of memory
            raise OutputError(f"{path.name} failed: {' '.join(str(error).split())[:200].rstrip('.')}. Close other programs, and try again.") from None
        nbformat.write(book, to / path.name)
    return to


def _read(path: Path) -> Any:
    """Read a notebook; OutputError is raised if it is none."""
    import nbformat

    try:
        return nbformat.read(path, as_version=4)
    except (OSError, ValueError, AttributeError, nbformat.ValidationError) as error:
        raise OutputError(f"{path} cannot be read as a notebook ({type(error).__name__}). Execute it again, or leave --executed out.") from None


def build_pages(to: Path, executed: Path | None = None, *, say: Callable[[str], Any] = print) -> list[str]:
    """Build the site, in the place of one that is there, open ``to/index.html``, and return Sphinx's warnings: broken links, docstrings it cannot read.

    `executed` is what :func:`execute_notebooks` wrote; by default, the course is executed first, which takes minutes. OutputError is raised if Sphinx is not
    installed (extra ``pages``), or a notebook or the building failed.
    """
    try:
        from sphinx.application import Sphinx
        from sphinx.errors import SphinxError
        from sphinx.util.docutils import docutils_namespace
    except ImportError:
        raise OutputError(
            "Sphinx is not installed, which builds the pages. Install it in the clone: `uv sync --inexact --extra pages`, or `pip install -e '.[pages]'`."
        ) from None
    if to.exists() and any(to.iterdir()) and not (to / "objects.inv").is_file():
        raise OutputError(f"{to} has other things in it, which would be replaced. Name an empty folder, or a new one.")
    config = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="tp2-pages-") as scratch:
        source, site, heard = Path(scratch) / "source", Path(scratch) / "site", io.StringIO()
        executed = executed or execute_notebooks(Path(scratch) / "executed", say=say)
        if not (books := sorted(executed.glob("[0-9][0-9]_*.ipynb"))):
            raise OutputError(f"{executed} has no executed notebooks. Leave --executed out, and they are executed first.")
        _gather(source, books, executed / "outputs")
        say("building the pages")
        try:
            with docutils_namespace():
                Sphinx(source, None, site, Path(scratch) / "doctrees", "html", config, status=None, warning=heard).build()
        except SphinxError as error:
            raise OutputError(f"the pages cannot be built: {error}. Report this.") from None
        try:
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(to, ignore_errors=True)
            shutil.move(site, to)
        except OSError as error:
            raise OutputError(f"{to} cannot be written ({error}). Name another folder with --to.") from None
    return [re.sub(r"\x1b\[[\d;]*m", "", line) for line in heard.getvalue().splitlines() if line.strip()]


def _gather(source: Path, books: list[Path], outputs: Path) -> None:
    """Put together what Sphinx reads."""
    import nbformat

    for name in _TEXTS:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, source / name)
    for folder in ("notebooks", "vitrine", "docs"):
        for picture in (ROOT / folder).glob("*.jpg"):
            (source / folder).mkdir(exist_ok=True)
            shutil.copy(picture, source / folder)
    static = source / "_static"
    static.mkdir()
    shutil.copy(Path(__file__).with_name("site.css"), static)
    (source / "notebooks").mkdir(exist_ok=True)
    here = {str(outputs.resolve()): "outputs", str(outputs): "outputs", sys.prefix: ".venv", str(ROOT): "tp2"}
    for path in books:
        text = nbformat.writes(Stills(_read(path), static / "pictures", "../_static/pictures").still())
        for folder, name in here.items():  # of the machine that ran them: not for readers
            text = re.sub(re.escape(json.dumps(folder, ensure_ascii=False)[1:-1]) + r"(?![\w.-])", name, text)  # whole names: /app is not in /apple.jpg
        (source / "notebooks" / path.name).write_text(text, encoding="utf-8")
    reports = _write_reports(source, outputs)
    told: set[int] = set()
    api = [_write_api(source / "api", door, told) for door in DOORS]
    _write_index(source, [f"notebooks/{path.stem}" for path in books], reports, api)
    _mend_links(source)


def _write_reports(source: Path, outputs: Path) -> list[str]:
    from tp2lib.report.report import write_report

    if not outputs.is_dir():
        return []
    shutil.copytree(outputs, source / "report", ignore=shutil.ignore_patterns("*.html", "*.md"))
    for language in LANGUAGES:
        write_report(source / "report", language)
    return [f"report/{words(language)['file']}" for language in LANGUAGES]


def _write_api(folder: Path, door: str, told: set[int]) -> str:
    """A page of what a door offers, each with its docstring; what an earlier door `told` of is in the index once."""
    folder.mkdir(exist_ok=True)
    package = importlib.import_module(door)
    about = (inspect.getdoc(package) or "").partition("\n")[0]
    lines = [f"# {door}", "", about, "", "```{eval-rst}", f".. py:module:: {door}", ""]
    for name in package.__all__:
        value = getattr(package, name)
        if inspect.isclass(value):
            kind = "autoexception" if issubclass(value, Exception) else "autoclass"
            lines += [f".. {kind}:: {door}.{name}", "   :members:"]
        elif callable(value) and hasattr(value, "__name__"):
            lines += [f".. autofunction:: {door}.{name}"]
        else:
            lines += [f".. py:data:: {name}", f"   :type: {type(value).__name__}"]
        lines += ["   :no-index:", ""] if id(value) in told else [""]
        told.add(id(value))
    (folder / f"{door}.md").write_text("\n".join([*lines, "```", ""]), encoding="utf-8")
    return f"api/{door}"


def _write_index(source: Path, books: list[str], reports: list[str], api: list[str]) -> None:
    """The README, and after it the table of contents."""
    rest = [name.removesuffix(".md") for name in _TEXTS[1:] if name.endswith(".md") and (source / name).is_file()]
    trees = {"Notebooks": books, "The report": reports, "The library": api, "More": rest}
    text = (source / "README.md").read_text(encoding="utf-8")
    (source / "README.md").unlink()
    for caption, pages in trees.items():
        text += "\n".join(["", "```{toctree}", f":caption: {caption}", ":hidden:", ":maxdepth: 1", "", *pages, "```", ""])
    (source / "index.md").write_text(text, encoding="utf-8")


def _mend_links(source: Path) -> None:
    """Point links to the README at the first page, and replace links to files outside the site by their text."""
    for page in [*source.rglob("*.md"), *source.rglob("*.ipynb")]:

        def mended(found: re.Match[str], page: Path = page) -> str:
            target = found[2].replace("README.md", "index.md") if (page.parent / found[2]).resolve() == source.resolve() / "README.md" else found[2]
            return f"[{found[1]}]({target}{found[3] or ''})" if (page.parent / target).exists() else found[1]

        text = page.read_text(encoding="utf-8")
        page.write_text(_LINK.sub(mended, text), encoding="utf-8")

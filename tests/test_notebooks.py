"""The notebooks: built as CONTRIBUTING says, and free of errors that widgets would hide."""

from __future__ import annotations

import ast
import re
import statistics
import sys
from pathlib import Path

import nbformat
import pytest

from tp2lib.experiments import EXPERIMENTS, PEN
from tp2lib.paths import NOTEBOOKS

FILES = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
TIMEOUT_S = 900  # a cell; machines under load are slow

LONGEST_LINE = 120  # characters: what JupyterLab shows without scrolling on a laptop
_OWN = {"tp2lib", "__future__"} | set(sys.stdlib_module_names)
_BY_HAND = {"02_baseline.ipynb": {"torch", "diffusers"}}  # where the pipeline is the lesson
_WIDGETS = ("Panel(", "before_after(")
_PREDICTED = ("show_grid(", "make_convergence(", "make_fidelity(")

_FORBIDDEN = {
    "an installation": r"\bpip3? install|\bconda install|\bapt(-get)? install|\buv (pip|add)\b",
    "a shell line": r"^\s*!|os\.system|subprocess",
    "a magic": r"^\s*%",
    "Colab": r"google\.colab|@param|colab\.research",
    "an absolute path": r"[\"'`( ](/(home|root|tmp|usr|work|Users|content|mnt)/|[A-Za-z]:\\\\)",
}


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def book(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=nbformat.NO_CONVERT)


def _code(book: nbformat.NotebookNode) -> list[str]:
    return [cell.source for cell in book.cells if cell.cell_type == "code"]


def _prose(book: nbformat.NotebookNode) -> str:
    return "\n\n".join(cell.source for cell in book.cells if cell.cell_type == "markdown")


def _length(source: str) -> int:
    return sum(bool(line.strip()) for line in source.splitlines())


def test_there_are_notebooks():
    assert [path.stem for path in FILES][:4] == ["01_smoke", "02_baseline", "03_text2img", "04_img2img"]


def test_file_is_clean(book, path):
    nbformat.validate(book)
    assert (book.nbformat, book.nbformat_minor) == (4, 5)
    assert set(book.metadata) == {"kernelspec", "language_info"}  # no widget state
    assert book.metadata.kernelspec.name == "python3"
    ids = [cell.id for cell in book.cells]
    assert len(set(ids)) == len(ids)
    for cell in book.cells:
        assert not cell.metadata
        assert cell.cell_type == "markdown" or (cell.outputs == [] and cell.execution_count is None)
    assert path.stat().st_size < 100_000


def test_code_cells_are_short(book):
    lengths = sorted(map(_length, _code(book)))
    assert statistics.median(lengths) <= 5
    assert lengths[int(0.9 * (len(lengths) - 1))] <= 12
    assert lengths[-1] <= 20
    assert max(len(line) for source in _code(book) for line in source.splitlines()) <= LONGEST_LINE


def test_a_sentence_stands_before_every_code_cell(book):
    for before, cell in zip([None, *book.cells], book.cells, strict=False):
        if cell.cell_type == "code":
            assert before is not None and before.cell_type == "markdown", cell.source
            assert re.search(r"\w+(\W+\w+){3,}[^\w]*[.?:!](\W|$)", before.source), before.source


def test_nothing_is_installed_or_named_that_is_not_ours(book, path):
    for cell in book.cells:
        for what, pattern in _FORBIDDEN.items():
            found = re.search(pattern, cell.source, re.MULTILINE) if cell.cell_type == "code" else None
            assert found is None, f"{what}: {found}"
    assert not re.search(_FORBIDDEN["an absolute path"], _prose(book))
    for source in _code(book):
        for node in ast.walk(ast.parse(source)):
            modules = [node.module] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for module in modules:
                assert module.partition(".")[0] in _OWN | _BY_HAND.get(path.name, set())


def test_it_opens_with_what_it_is_for(book):
    top = book.cells[0].source
    assert re.search(r"^# \d\d · ", top, re.MULTILINE)
    for part in ("You will be able to", "Minutes", "Needs"):
        assert f"**{part}" in top


def test_navigation_leads_to_the_neighbours(book, path):
    at = FILES.index(path)
    for cell in (book.cells[0], book.cells[-1]):
        linked = re.findall(r"\]\(([\w./-]+\.(?:ipynb|md))", cell.source)
        for near in FILES[max(at - 1, 0) : at] + FILES[at + 1 : at + 2]:
            assert near.name in linked
        for link in linked:
            assert (path.parent / link).is_file(), link


def test_every_widget_has_a_twin_with_an_assert(book):
    sources = _code(book)
    for at, source in enumerate(sources):
        if any(name in source for name in _WIDGETS):
            assert "assert " in sources[at + 1], source


def test_every_picture_has_words(book):
    for source in _code(book):
        for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
            if getattr(call.func, "id", "") in ("show", "show_grid"):
                assert "alt" in {keyword.arg for keyword in call.keywords}, source


def test_a_prediction_stands_before_every_study(book):
    sources = _code(book)
    drawn = [at for at, source in enumerate(sources) if any(name in source for name in _PREDICTED)]
    told = [at for at, source in enumerate(sources) if re.search(r"= predict\(", source)]
    if drawn:
        assert min(told) < min(drawn)
        assert len(told) >= min(len(drawn), 2)
    for at in told:
        assert re.search(r"^my_\w+ = ", sources[at], re.MULTILINE), sources[at]


def test_exercises_have_minutes_hints_a_stub_and_a_check(book, path):
    number = int(path.name[:2])
    cells = book.cells
    heads = [at for at, cell in enumerate(cells) if re.match(r"### Exercise ", cell.source)]
    assert len(heads) >= 3
    for count, at in enumerate(heads, 1):
        ask, stub, _, check = cells[at : at + 4]
        assert re.match(rf"### Exercise {number}\.{count} · .+\n\n\*\*\d+ minutes · (easy|medium|hard)\.\*\*", ask.source)
        assert ask.source.count("<details><summary>Hint ") == 3
        assert re.search(r"= None", stub.source)
        for outcome in ("not attempted", "right", "wrong"):
            assert outcome in check.source


def test_prompts_are_the_reports():
    everything = "\n".join(source for path in FILES for source in _code(nbformat.read(path, as_version=4)))
    assert EXPERIMENTS["baseline"].recipe.prompt in everything
    assert "PEN" in everything and PEN


def _hidden_errors(book: nbformat.NotebookNode) -> list[str]:
    """What no cell fails on: errors inside widgets' outputs and states, tracebacks of threads, warnings."""
    outputs = [output for cell in book.cells for output in cell.get("outputs", ())]
    states = book.metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {}).get("state", {})
    words = []
    for widget in states.values():
        outputs += widget["state"].get("outputs", ())
        words += [value for value in widget["state"].values() if isinstance(value, str)]
    found = [output["ename"] for output in outputs if output["output_type"] == "error"]
    words += [output["text"] for output in outputs if output["output_type"] == "stream"]
    return found + [text for text in words if re.search(r"Traceback \(most recent call last\)|Warning: |✗", text)]


@pytest.mark.slow
def test_runs_without_a_hidden_error(path, tiny_folder, tmp_path, monkeypatch):
    from nbmake.nb_run import NotebookRun

    monkeypatch.setenv("TP2_VITRINE", str(tiny_folder))
    monkeypatch.setenv("TP2_OUTPUTS", str(tmp_path / "outputs"))
    monkeypatch.delenv("TP2_MODEL", raising=False)
    result = NotebookRun(path, TIMEOUT_S).execute()
    assert result.error is None, result.error
    assert _hidden_errors(result.nb) == []
    outputs = [output for cell in result.nb.cells for output in cell.get("outputs", ())]
    streams = "".join(output.text for output in outputs if output.output_type == "stream")
    said = [line for line in streams.splitlines() if re.match(r"\d\.\d (not attempted|right|wrong)", line)]
    assert len(said) >= 3
    assert all("not attempted" in line for line in said)
    assert (tmp_path / "outputs" / "ledger.jsonl").is_file()


HIDDEN = {
    "in an output widget": "import ipywidgets\nout = ipywidgets.Output()\nwith out:\n    1 / 0",
    "in interact": "from ipywidgets import interact\n@interact(x=3)\ndef f(x):\n    1 / 0",
    "in a thread": "import threading\nt = threading.Thread(target=lambda: 1 / 0)\nt.start()\nt.join()",
    "in a panel": "from ipywidgets import HTML\nHTML('<div role=\"alert\">✗ it went wrong</div>')",
}


@pytest.mark.slow
@pytest.mark.parametrize("source", HIDDEN.values(), ids=HIDDEN)
def test_hidden_errors_are_found(source, tmp_path):
    """The scan above is worth something: each of these passes a plain execution."""
    from nbmake.nb_run import NotebookRun

    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    book.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(book, tmp_path / "planted.ipynb")
    result = NotebookRun(tmp_path / "planted.ipynb", 60).execute()
    assert result.error is None
    assert _hidden_errors(result.nb)

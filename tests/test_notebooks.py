"""The notebooks: built as CONTRIBUTING says, and free of errors that widgets would hide."""

from __future__ import annotations

import ast
import re
import statistics
import sys
from pathlib import Path

import nbformat
import pytest
from executed import CommittedRun, hidden_errors
from nbmake.nb_run import NotebookRun

from tp2lib.course.exercises import questions
from tp2lib.evaluation.experiments import EXPERIMENTS
from tp2lib.paths import NOTEBOOKS, ROOT

FILES = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))

LONGEST_LINE = 120  # characters: what JupyterLab shows without scrolling on a laptop
_OWN = {"tp2lib", "__future__", "pandas"} | set(sys.stdlib_module_names)
_BY_HAND = {"02_baseline.ipynb": {"torch", "diffusers"}}  # where the pipeline is the lesson
_WIDGETS = ("Panel(", "Studio(", "before_after(", "book.ask(")
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


def _tagged(cell: nbformat.NotebookNode) -> str | None:
    """The question whose stub a cell is: it bears that name as its only tag, and nothing else."""
    tags = cell.metadata.get("tags", [])
    return tags[0] if set(cell.metadata) == {"tags"} and len(tags) == 1 and tags[0] in questions() else None


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
        assert not cell.metadata or (cell.cell_type == "code" and _tagged(cell) is not None)
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


def test_its_minutes_are_those_of_the_readme_and_of_teaching(book, path):
    (minutes,) = re.findall(r"\*\*Minutes:\*\* (\d+)", book.cells[0].source)
    for name in ("README.md", "TEACHING.md"):
        assert re.search(rf"^\| `{path.stem}` \|.*\| {minutes}( min)? \|", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE), name


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
    told = [at for at, source in enumerate(sources) if re.search(r"= book\.ask\(", source)]
    if drawn:
        assert min(told) < min(drawn)
        assert len(told) >= min(len(drawn), 2)


def test_every_prediction_has_a_plain_twin_and_is_compared(book):
    sources = _code(book)
    everything = "\n".join(sources)
    for at, source in enumerate(sources):
        for name in re.findall(r"^(\w+) = book\.ask\(", source, re.MULTILINE):
            assert source.splitlines()[-1] == name  # the widget is shown
            assert f"{name}.commit(" in sources[at + 1] and "own=False" in sources[at + 1]
            before, _, after = everything.partition(f"{name}.commit(")
            assert f"{name}.compare(" in after and f"{name}.compare(" not in before


def _exercises(book: nbformat.NotebookNode) -> dict[str, list[nbformat.NotebookNode]]:
    """Each exercise's cells, from its head to the next."""
    found: dict[str, list[nbformat.NotebookNode]] = {}
    name = None
    for cell in book.cells:
        if cell.cell_type == "markdown" and (head := re.match(r"#{1,3} (?:Exercise (\d\.\d+))?", cell.source)):
            name = head[1]
        if name:
            found.setdefault(name, []).append(cell)
    return found


def test_every_exercise_exists_and_the_other_way_round(book, path):
    number = path.name[:2]
    known = questions(number)
    exercises = _exercises(book)
    assert list(exercises) == [question.number for question in known.values()]
    assert len(known) >= 3
    named = set(re.findall(r"\bq\d_\d+\b", "\n".join(cell.source for cell in book.cells)))
    assert named == known.keys()
    assert [_tagged(cell) for cell in book.cells if cell.metadata] == list(known)
    assert f'progress_line("{number}")' in _code(book)[-1]


def test_exercises_have_minutes_a_stub_and_a_check(book, path):
    known = {question.number: question for question in questions(path.name[:2]).values()}
    for number, (ask, *cells) in _exercises(book).items():
        question = known[number]
        head = f"### Exercise {number} · {question.title}\n\n**{question.minutes} minutes · {question.difficulty}.** "
        assert ask.source.startswith(head)
        (stub,) = [cell for cell in cells if _tagged(cell) == question.name]
        assert not set(_names(stub.source)) - {*question.parts, _answer_name(question)}
        for node in ast.walk(ast.parse(stub.source)):
            assert not isinstance(node, ast.Constant) or node.value in (None, "")
        check = next(cell for cell in cells[cells.index(stub) :] if f"{question.name}.check(" in cell.source)
        assert check.source.startswith(f"{question.name}.check(") and len(check.source.splitlines()) == 1


def _names(source: str) -> list[str]:
    """The names that code sets, in its outermost lines."""
    targets = [target for node in ast.parse(source).body if isinstance(node, ast.Assign) for target in node.targets]
    return [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]


def _answer_name(question) -> str:
    return _names(question.answer)[-1]


def test_no_solution_stands_in_a_notebook(book):
    """Not a hint, not an explanation, not a line of a solution that says anything."""
    everything = "\n".join(cell.source for cell in book.cells)
    squeezed = re.sub(r"\s+", "", everything)
    for question in questions().values():
        lines = [re.sub(r"\s+", "", line) for line in question.answer.splitlines()]
        telling = [line for line in lines if len(line) >= 25 and not line.startswith(("from", "def"))]
        for words in (*question.hints, question.why, question.answer, *telling):
            assert re.sub(r"\s+", "", words) not in squeezed, f"{question.number}: {words}"
    assert "<details>" not in everything


def test_prompts_are_the_reports():
    everything = "\n".join(source for path in FILES for source in _code(nbformat.read(path, as_version=4)))
    assert EXPERIMENTS["baseline"].recipe.prompt in everything
    assert re.search(r"\bPEN\b", everything)


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
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    book.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(book, tmp_path / "01_planted.ipynb")
    result = CommittedRun(tmp_path / "01_planted.ipynb", 60).execute()
    assert result.error.failing_cell_index == -1  # no cell failed
    assert result.error.summary in hidden_errors(result.nb)


@pytest.mark.slow
def test_a_kernel_under_test_reaches_this_machine_only(tmp_path):
    """The root conftest's doing: no notebook can ask the network for anything unnoticed."""
    ask = "import socket; socket.create_connection(('192.0.2.1', 80), 1)"
    source = f"import subprocess, sys\nchild = subprocess.run([sys.executable, '-c', {ask!r}], capture_output=True, text=True)\nprint(child.stderr)\n{ask}"
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    book.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(book, tmp_path / "asks.ipynb")
    result = NotebookRun(tmp_path / "asks.ipynb", 60).execute()
    assert "SocketConnectBlockedError" in result.error.summary
    said = "".join(output.get("text", "") for output in result.nb.cells[0].outputs)
    assert "SocketConnectBlockedError" in said  # and its children cannot either

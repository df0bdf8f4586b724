"""Write a page as Markdown and as HTML from one template; every number in it names its source.

A template holds the order of the parts; ``templates/markdown.j2`` and ``templates/html.j2`` hold how each part is written. What is filled
in is a `Cell`, and a cell has a `Trace`: the runs, or the file, that its value is read from. A page remembers its
cells, so it can be audited. Everything that is filled in is escaped, in both formats.
"""

from __future__ import annotations

import base64
import functools
import html
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import methodcaller
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tp2lib.errors import OutputError, RecordError, shown
from tp2lib.evaluation.languages import Number, words
from tp2lib.storage.files import write_atomically
from tp2lib.storage.pictures import export_picture

NOTHING = "–"  # stands for what is not known
_COPIES = "report_pictures/"

_SPECIAL = re.compile(r"([\\`*_{}\[\]#|~!$])")
_LIST = re.compile(r"^(\d*)([-+.)])(?=\s|$)")  # at the start of a line these would begin a list


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Where a value is from."""

    what: str  # the name of the fact, such as "sharpness"; see FACTS in `facts`
    runs: tuple[str, ...] = ()  # keys of the runs that it is read from or measured on
    file: str = ""  # the file of the outputs folder that it is read from, where it is no run


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A value in words."""

    text: str
    trace: Trace | None = None
    kind: str = "number"  # or "text" (anybody's words), "label" (a name), "code", "sentence" (our own words)

    @property
    def source(self) -> str:
        """Where the value is from, in a few words."""
        if self.trace is None:
            return ""
        return f"{self.trace.what} · {', '.join(key[:8] for key in self.trace.runs) or self.trace.file}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture of a run, or the photo that a run started from."""

    run: str
    path: Path
    caption: Cell
    alt: str
    photo: bool = False

    def content(self) -> bytes:
        """The file, without folders of this machine in its record."""
        try:
            if self.photo:
                return self.path.read_bytes()
            with tempfile.TemporaryDirectory(prefix="tp2-report-") as folder:
                return export_picture(self.path, Path(folder) / "picture.png").read_bytes()
        except (OSError, RecordError) as error:
            raise OutputError(f"the picture {shown(self.path.name)} cannot be read ({error}). Run its notebook again.") from error

    def data(self) -> str:
        """The file as a data URI."""
        return f"data:image/png;base64,{base64.b64encode(self.content()).decode()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What is missing, and the notebook that makes it."""

    what: str
    notebook: str


class Page:
    """What a template is filled from; a template calls its methods as ``page.…``.

    `part` names the language's words that it uses besides those of the report, `known` is what else the template uses.
    Its cells, gaps, pictures and sections (title, level) are those of the last rendering, in order.
    """

    def __init__(self, template: str, language: str, part: str = "report", **known: Any) -> None:
        self.template, self.language, self.known = template, language, known
        self.words: Mapping[str, str] = words(language)["report"] | words(language)[part]

    def render(self, form: str, folder: Path | None = None) -> str:
        """Write the page as "markdown" that lies in a folder, or as one "html" file that holds its pictures."""
        self.folder = folder or Path()
        self.cells: list[Cell] = []
        self.gaps: list[Gap] = []
        self.pictures: list[Picture] = []
        self.sections: list[tuple[str, int]] = []
        template = _environment(form).get_template(self.template)
        text = template.render(page=self, form=form, words=words(self.language), language=self.language, **self.known)
        if form == "markdown":
            return re.sub(r"\n{3,}", "\n\n", re.sub(r" +\n", "\n", text)).strip() + "\n"
        frame = _environment(form).get_template("frame.html.j2")
        return frame.render(language=self.language, title=self.word("title"), body=Markup(text))

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write both files into a folder, with copies of pictures that lie elsewhere, and return their paths."""
        texts = {f"{name}.md": self.render("markdown", folder)}
        files = {place: one.content() for one in self.pictures if (place := self.link(one)).startswith(_COPIES)}
        texts[f"{name}.html"] = self.render("html")
        files |= {place: text.encode(errors="backslashreplace") for place, text in texts.items()}  # a file can hold half a character
        for place, content in files.items():
            write_atomically(folder / place, methodcaller("write", content))
        return folder / f"{name}.md", folder / f"{name}.html"

    @property
    def runs(self) -> list[str]:
        """Keys of all runs that a figure or picture names, in order, each once."""
        named = [picture.run for picture in self.pictures]
        return list(dict.fromkeys([*named, *(key for cell in self.cells if cell.trace for key in cell.trace.runs)]))

    # -- called by the templates ---------------------------------------------------------------------

    def word(self, key: str) -> str:
        """Return a word of the table; an unknown key is returned unchanged."""
        return self.words.get(key, key)

    def label(self, text: object) -> Cell:
        """Return a name, or a word of the table, as a cell."""
        return Cell(text=str(text), kind="label")

    def labels(self, *texts: object) -> list[Cell]:
        """Return names or words of the table as cells."""
        return [self.label(text) for text in texts]

    def number(self, value: float | None, form: str) -> Cell:
        """Return a number in the page's language; a dash for none."""
        return Cell(text=NOTHING if value is None else form.format(Number(value, self.language)), kind="number")

    def section(self, title: str, level: int) -> int:
        """Note a section, and return its number; the page's title is 0."""
        self.sections.append((title, level))
        return len(self.sections) if level > 1 else 0

    def sentence(self, key: str, filled: Mapping[str, Cell]) -> tuple[list[Cell], list[str]]:
        """Cut a sentence at its places and put the cells there; also return the runs that they name."""
        self.cells += filled.values()
        pieces = enumerate(re.split(r"\{(\w+)\}", self.words[key]))
        parts = [filled[piece] if number % 2 else Cell(text=piece, kind="sentence") for number, piece in pieces if piece]
        return parts, list(dict.fromkeys(key for cell in filled.values() if cell.trace for key in cell.trace.runs))

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[Cell]]) -> dict[str, Any]:
        """Return what a table shows: heads and cells in words, which columns are numbers, and each row's run."""
        self.cells += [cell for row in rows for cell in row]
        runs = [next((cell.trace.runs[0] for cell in row if cell.trace and cell.trace.runs), "") for row in rows]
        listed = "key" in heads  # the list of runs names them itself
        return {
            "heads": [self.word(head) for head in heads],
            "rows": [([(self.word(cell.text) if cell.kind == "label" else cell.text, cell.source) for cell in row], run)
                     for row, run in zip(rows, runs, strict=True)],
            "numbers": [bool(rows) and all(row[at].kind == "number" for row in rows) for at in range(len(heads))],
            "traced": any(runs) and not listed, "listed": listed,
        }  # fmt: skip

    def gap(self, what: str, notebook: str) -> list[Cell]:
        """Note a gap, and return its sentence."""
        self.gaps.append(Gap(what=what, notebook=notebook))
        file = Cell(text=f"notebooks/{notebook}.ipynb", kind="code")
        return self.sentence("gap", {"what": self.label(self.word(what)), "notebook": file})[0]

    def show(self, picture: Picture) -> Picture:
        """Note a picture."""
        self.pictures.append(picture)
        self.cells.append(picture.caption)
        return picture

    def link(self, picture: Picture) -> str:
        """Return a picture's place in the folder of the Markdown; one that lies elsewhere gets a copy there."""
        path, folder = picture.path.resolve(), self.folder.resolve()
        return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else f"{_COPIES}{path.name}"


def escape(text: str) -> str:
    """Escape untrusted text for Markdown, on one line."""
    plain = html.escape(" ".join(text.split()), quote=False)
    return _LIST.sub(r"\1\\\2", _SPECIAL.sub(r"\\\1", plain))


@functools.cache
def _environment(form: str) -> Environment:
    def in_markdown(value: Any) -> Any:
        return value if hasattr(value, "__html__") else Markup(escape(str(value)))

    return Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        finalize=in_markdown if form == "markdown" else None,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.do"],
    )

"""Convert an executed notebook's output to plain HTML: a widget becomes a still picture of its last state, with a caption."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_VIEW = "application/vnd.jupyter.widget-view+json"
_STATES = "application/vnd.jupyter.widget-state+json"
_DATA_URI = re.compile(r"data:image/(png|jpeg|webp);base64,([A-Za-z0-9+/=]+)")


class Stills:
    """The outputs of one executed notebook, without scripts; it has the states of its widgets, as ``nbclient`` leaves them.

    Pictures are written to the folder `pictures`, each once, under a name made of its content; `address` is how a page names that folder.
    """

    def __init__(self, notebook: Any, pictures: Path, address: str) -> None:
        self.notebook, self.pictures, self.address = notebook, pictures, address
        self.states: dict[str, Any] = notebook.metadata.get("widgets", {}).get(_STATES, {}).get("state", {})

    def still(self) -> Any:
        """Replace every output in place, drop the states, and return the notebook."""
        for cell in self.notebook.cells:
            if cell.cell_type == "code":
                cell.outputs = [made for output in cell.outputs if (made := self._output(output))]
        self.notebook.metadata.pop("widgets", None)
        return self.notebook

    def _output(self, output: Any) -> Any:
        if "data" not in output:
            return None if output.output_type == "stream" and output.name == "stderr" else output
        text = self._html(output.data)
        output.data = {"text/html": text} if text else {"text/plain": output.data.get("text/plain", "")}
        output.metadata = {}
        return output if text or output.data["text/plain"] else None

    def _html(self, data: Any) -> str:
        """One output's richest form, or nothing where plain text is all there is."""
        if _VIEW in data:
            shown = self._widget(data[_VIEW]["model_id"])
            return f'<figure class="still">{shown}<figcaption>{html.escape(self._caption(data[_VIEW]["model_id"]))}</figcaption></figure>'
        if "text/html" in data:
            return self._filed(data["text/html"])
        if "image/png" in data:
            return f'<img src="{self._file(base64.b64decode(data["image/png"]), "png")}" alt="">'
        return ""

    def _filed(self, text: str) -> str:
        """The same HTML with the pictures it holds in files of their own."""
        return _DATA_URI.sub(lambda found: self._file(base64.b64decode(found[2]), found[1]), text)

    def _file(self, data: bytes, kind: str) -> str:
        name = f"{hashlib.sha256(data).hexdigest()[:16]}.{kind}"
        self.pictures.mkdir(parents=True, exist_ok=True)
        (self.pictures / name).write_bytes(data)
        return f"{self.address}/{name}"

    # -- widgets -------------------------------------------------------------------------------------

    def _model(self, reference: str) -> tuple[str, Any]:
        known = self.states.get(reference.removeprefix("IPY_MODEL_"), {"model_name": "", "state": {}})
        return known["model_name"].removesuffix("Model"), known

    def _hidden(self, state: Any) -> bool:
        layout = self._model(state["layout"])[1]["state"] if state.get("layout") else {}
        return layout.get("display") == "none" or layout.get("visibility") == "hidden"

    def _parts(self, reference: str) -> Iterator[tuple[str, Any]]:
        """A widget and all that is in it and on show."""
        kind, known = self._model(reference)
        state = known["state"]
        if not self._hidden(state):
            yield kind, state
            for child in state.get("children", ()):
                yield from self._parts(child)

    def _caption(self, reference: str) -> str:
        parts = [(kind, state.get("description") or state.get("label") or "") for kind, state in self._parts(reference)]
        buttons = [name for kind, name in parts if kind == "Button" and name]
        controls = list(dict.fromkeys(name for kind, name in parts if kind not in ("Button", "HTML") and name))
        named = {"Controls": controls, "Buttons": buttons}
        shown = [f"{what}: {', '.join(names[:8])}{', …' if len(names) > 8 else ''}." for what, names in named.items() if names]
        return " ".join([*shown, "A still picture of how the run left it; in the notebook it answers."])

    def _widget(self, reference: str) -> str:
        kind, known = self._model(reference)
        state = known["state"]
        if self._hidden(state):
            return ""
        draw: Callable[[str, Any, Any], str] = getattr(self, f"_{_DRAWN.get(kind, 'other')}")
        return draw(kind, state, known)

    def _children(self, state: Any) -> list[str]:
        return [self._widget(child) for child in state["children"]]

    def _box(self, kind: str, state: Any, known: Any) -> str:
        return f'<div class="still-{kind.lower()}">{"".join(self._children(state))}</div>'

    def _tabs(self, kind: str, state: Any, known: Any) -> str:
        chosen = state.get("selected_index") or 0
        titles = "".join(f"<span{' class=chosen' if at == chosen else ''}>{html.escape(title)}</span>" for at, title in enumerate(state["titles"]))
        return f'<div class="still-tabs">{titles}</div>{self._widget(state["children"][chosen])}'

    def _folds(self, kind: str, state: Any, known: Any) -> str:
        titles = [*state["titles"], *[""] * len(state["children"])]
        return "".join(
            f"<details><summary>{html.escape(title or 'more')}</summary>{shown}</details>"
            for title, shown in zip(titles, self._children(state), strict=False)
            if shown
        )

    def _words(self, kind: str, state: Any, known: Any) -> str:
        value = state["value"] if kind.startswith("HTML") else html.escape(state["value"])
        return f"<div>{self._filed(value)}</div>" if value else ""

    def _picture(self, kind: str, state: Any, known: Any) -> str:
        data = next((one["data"] for one in known.get("buffers", ()) if one["path"] == ["value"]), "")
        return f'<img src="{self._file(base64.b64decode(data), state.get("format") or "png")}" alt="">' if data else ""

    def _slider(self, kind: str, state: Any, known: Any) -> str:
        labels = state.get("_options_labels")
        low, high, at = (0, len(labels) - 1, state["index"]) if labels else (state["min"], state["max"], state["value"])
        shown = labels[at] if labels else f"{at:g}"
        return self._row(state, f'<input type="range" min="{low}" max="{high}" step="any" value="{at}" disabled><output>{html.escape(str(shown))}</output>')

    def _choice(self, kind: str, state: Any, known: Any) -> str:
        labels, at = state["_options_labels"], state.get("index")
        if kind in ("Dropdown", "Select"):
            return self._row(state, f"<select disabled><option>{html.escape(labels[at]) if at is not None else ''}</option></select>")
        marks = (f"<span{' class=chosen' if number == at else ''}>{html.escape(label)}</span>" for number, label in enumerate(labels))
        return self._row(state, f'<span class="still-choice">{"".join(marks)}</span>')

    def _field(self, kind: str, state: Any, known: Any) -> str:
        value = html.escape(str(state.get("value", "")))
        field = f'<textarea rows="3" readonly>{value}</textarea>' if kind == "Textarea" else f'<input value="{value}" readonly>'
        return self._row(state, field)

    def _tick(self, kind: str, state: Any, known: Any) -> str:
        return self._row(state, f'<input type="checkbox" disabled{" checked" if state["value"] else ""}>')

    def _button(self, kind: str, state: Any, known: Any) -> str:
        return f'<button class="{state.get("button_style", "")}" disabled>{html.escape(state["description"] or state.get("tooltip") or "")}</button>'

    def _progress(self, kind: str, state: Any, known: Any) -> str:
        return self._row(state, f'<progress max="{state["max"]}" value="{state["value"]}"></progress>')

    def _output_area(self, kind: str, state: Any, known: Any) -> str:
        texts = (self._html(one["data"]) if "data" in one else f"<pre>{html.escape(one.get('text', ''))}</pre>" for one in state.get("outputs", ()))
        return "".join(texts)

    def _other(self, kind: str, state: Any, known: Any) -> str:
        """Our own widgets: shown as their text."""
        words = [html.escape(state[name]) for name in ("label", "said") if state.get(name)]
        text = f"<pre>{html.escape(state['text'])}</pre>" if state.get("text") else ""
        return f'<div class="still-other">{"<br>".join(words)}{text}</div>' if words or text else ""

    @staticmethod
    def _row(state: Any, field: str) -> str:
        return f'<label class="still-row"><span>{html.escape(state.get("description", ""))}</span>{field}</label>'


_DRAWN = {
    **dict.fromkeys(("Box", "VBox", "HBox", "GridBox"), "box"),
    **dict.fromkeys(("Tab", "Stack"), "tabs"),
    "Accordion": "folds",
    **dict.fromkeys(("HTML", "HTMLMath", "Label"), "words"),
    "Image": "picture",
    **dict.fromkeys(("IntSlider", "FloatSlider", "FloatLogSlider", "SelectionSlider"), "slider"),
    **dict.fromkeys(("Dropdown", "Select", "RadioButtons", "ToggleButtons"), "choice"),
    **dict.fromkeys(("Text", "Textarea", "IntText", "FloatText", "BoundedIntText", "BoundedFloatText", "Combobox"), "field"),
    **dict.fromkeys(("Checkbox", "ToggleButton", "Valid"), "tick"),
    "Button": "button",
    **dict.fromkeys(("IntProgress", "FloatProgress"), "progress"),
    "Output": "output_area",
}

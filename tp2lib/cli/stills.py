"""Convert an executed notebook's output to plain HTML: a widget becomes a still picture of its last state, with a caption.

``stills.html.j2`` says what each kind of widget looks like.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tp2lib.plots.display import macros

_STATES = "application/vnd.jupyter.widget-state+json"
_DRAWN = macros(Path(__file__).with_name("stills.html.j2"))
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
        text = str(_DRAWN.output(self, output.data))
        output.data = {"text/html": text} if text else {"text/plain": output.data.get("text/plain", "")}
        output.metadata = {}
        return output if text or output.data["text/plain"] else None

    def _parts(self, reference: str) -> Iterator[tuple[str, Any]]:
        """A widget and all that is in it and on show."""
        kind, known = self.model(reference)
        state = known["state"]
        if not self.hidden(state):
            yield kind, state
            for child in state.get("children", ()):
                yield from self._parts(child)

    # -- called by the template ----------------------------------------------------------------------

    def caption(self, reference: str) -> str:
        """Name the controls and buttons of a widget that are on show."""
        parts = [(kind, state.get("description") or state.get("label") or "") for kind, state in self._parts(reference)]
        buttons = [name for kind, name in parts if kind == "Button" and name]
        controls = list(dict.fromkeys(name for kind, name in parts if kind not in ("Button", "HTML") and name))
        named = {"Controls": controls, "Buttons": buttons}
        shown = [f"{what}: {', '.join(names[:8])}{', …' if len(names) > 8 else ''}." for what, names in named.items() if names]
        return " ".join([*shown, "A still picture of how the run left it; in the notebook it answers."])

    def filed(self, text: str) -> str:
        """Return the same HTML with the pictures it holds in files of their own."""
        return _DATA_URI.sub(lambda found: self.file(found[2], found[1]), text)

    def file(self, data: str, kind: str) -> str:
        """Write a picture, which is given in Base64, and return its address."""
        picture = base64.b64decode(data)
        name = f"{hashlib.sha256(picture).hexdigest()[:16]}.{kind}"
        self.pictures.mkdir(parents=True, exist_ok=True)
        (self.pictures / name).write_bytes(picture)
        return f"{self.address}/{name}"

    def model(self, reference: str) -> tuple[str, Any]:
        """Return a widget's kind, and what is known of it."""
        known = self.states.get(reference.removeprefix("IPY_MODEL_"), {"model_name": "", "state": {}})
        return known["model_name"].removesuffix("Model"), known

    def hidden(self, state: Any) -> bool:
        """Whether a widget is not on show."""
        layout = self.model(state["layout"])[1]["state"] if state.get("layout") else {}
        return layout.get("display") == "none" or layout.get("visibility") == "hidden"

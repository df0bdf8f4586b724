"""Two small widgets that ipywidgets has no equal of: a place to drop a picture on, and text with a Copy button.

Their JavaScript is here in full and fetches nothing. It puts words into the page as text only, never as markup.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import anywidget
import traitlets

__all__ = ["MAX_UPLOAD", "CopyText", "DropZone"]

MAX_UPLOAD = 8_000_000  # bytes: what Jupyter's websocket lets through in one message is 10 MiB

_STYLE = """
.tp2-drop { display: block; padding: 0.8em; border: 2px dashed var(--jp-border-color1, #767676); border-radius: 6px;
  color: var(--jp-ui-font-color1, inherit); max-width: 36em; box-sizing: border-box; }
.tp2-drop.over, .tp2-drop:focus-within { border-style: solid; border-color: var(--jp-brand-color1, #1976d2); }
.tp2-drop span, .tp2-drop output { display: block; margin-bottom: 0.4em; }
.tp2-copy pre { white-space: pre-wrap; overflow-wrap: anywhere; max-height: 22em; overflow: auto; margin: 0.3em 0;
  padding: 0.5em; border: 1px solid var(--jp-border-color2, #bbb); color: var(--jp-ui-font-color1, inherit); }
"""

_DROP = """
function render({ model, el }) {
  const box = document.createElement("label"), words = document.createElement("span");
  const input = document.createElement("input"), said = document.createElement("output");
  box.className = "tp2-drop";
  input.type = "file";
  input.accept = ".png,.jpg,.jpeg,.webp";
  const show = () => { words.textContent = model.get("label"); said.textContent = model.get("said"); };
  model.on("change:label change:said", show);
  async function take(file) {
    if (!file) return;
    const large = file.size > model.get("limit");
    const data = large ? new ArrayBuffer(0) : await file.arrayBuffer();
    model.send({ kind: "file", name: file.name, size: file.size }, undefined, [data]);
  }
  input.addEventListener("change", () => { take(input.files[0]); input.value = ""; });
  const over = (on) => (event) => { event.preventDefault(); event.stopPropagation(); box.classList.toggle("over", on); };
  box.addEventListener("dragover", over(true));
  box.addEventListener("dragleave", over(false));
  box.addEventListener("drop", (event) => { over(false)(event); take(event.dataTransfer.files[0]); });
  box.append(words, input, said);
  el.append(box);
  show();
}
export default { render };
"""

_COPY = """
function render({ model, el }) {
  const box = document.createElement("div"), text = document.createElement("pre");
  const button = document.createElement("button"), said = document.createElement("span");
  box.className = "tp2-copy";
  button.className = "jupyter-button";
  button.type = "button";
  said.setAttribute("role", "status");
  text.tabIndex = 0;
  const show = () => {
    text.textContent = model.get("text");
    text.setAttribute("aria-label", model.get("label"));
    button.textContent = "Copy " + model.get("label");
    said.textContent = "";
  };
  button.addEventListener("click", async () => {
    const range = document.createRange();
    range.selectNodeContents(text);
    const selection = window.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    try {
      await navigator.clipboard.writeText(model.get("text"));
      said.textContent = " Copied.";
    } catch (refused) {
      said.textContent = document.execCommand("copy") ? " Copied." : " Selected: press Ctrl+C.";
    }
  });
  model.on("change:text change:label", show);
  box.append(button, said, text);
  el.append(box);
  show();
}
export default { render };
"""


class DropZone(anywidget.AnyWidget):
    """A place to drop a picture on, or to choose one from the visitor's own disk.

    Parameters
    ----------
    label : str
        What is asked for, above the button.
    on_file : callable
        Called with the bytes and the file's name, which is anybody's text; returns what to say about it.
    """

    _esm = _DROP
    _css = _STYLE
    label = traitlets.Unicode().tag(sync=True)
    said = traitlets.Unicode().tag(sync=True)
    limit = traitlets.Int(MAX_UPLOAD).tag(sync=True)

    def __init__(self, label: str, on_file: Callable[[bytes, str], str | None]) -> None:
        super().__init__(label=label)
        self._on_file = on_file
        self.on_msg(self._received)

    def take(self, data: bytes, name: str = "", size: int | None = None) -> None:
        """Take a file, as a drop does.

        Parameters
        ----------
        data : bytes
            The file; empty where the browser found it too large to send.
        name : str
            Its name there; shown, and used for nothing else.
        size : int, optional
            Its bytes as the browser counts them.
        """
        size = len(data) if size is None else size
        name = " ".join(name.split())[:80] or "the file"
        if size > self.limit:
            self.said = f"✗ {name} has {size / 1e6:.1f} MB; at most {self.limit / 1e6:.0f} can be sent. Save it smaller."
            return
        self.said = self._on_file(data, name) or f"{name}, {size / 1e3:.0f} kB"

    def _received(self, widget: Any, content: Any, buffers: Sequence[Any]) -> None:
        if isinstance(content, dict) and content.get("kind") == "file" and len(buffers) == 1:
            size, name = content.get("size"), content.get("name")
            whole = isinstance(size, int) and not isinstance(size, bool) and 0 <= size < 2**53
            self.take(bytes(buffers[0]), name if isinstance(name, str) else "", size if whole else None)


class CopyText(anywidget.AnyWidget):
    """Text that a button copies to the clipboard; the keyboard can scroll and select it."""

    _esm = _COPY
    _css = _STYLE
    text = traitlets.Unicode().tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)

    def __init__(self, label: str, text: str = "") -> None:
        super().__init__(label=label, text=text)

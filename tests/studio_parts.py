"""What the tests of the mini-product share: an engine that costs nothing, and a studio on it."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from PIL import Image
from plotted import picture

from tp2lib.engine.runs import Run
from tp2lib.errors import Cancelled
from tp2lib.metadata.source import Source
from tp2lib.storage.ledger import Ledger
from tp2lib.widgets.studio import Studio

WORDS = frozenset(
    ["a", "red", "green", "apple", "mug", "leather", "wallet", "on", "white", "background", "wooden", "table", "soft", "light", "blurry", "photo"]
)
MARKUP = '"><img src=x onerror=alert(1)><script>alert(2)</script>'


class Model:
    """What the studio reads of a model."""

    name, native_size, words = "vitrine", 64, WORDS


def effective(recipe: Any, source: Source | None) -> dict[str, Any]:
    """Settings as `resolve` would find them."""
    guided = recipe.guidance > 1
    return {
        "model": "vitrine", "weights_sha256": "a" * 64, "mode": "img2img" if source else "text2img", "seed": recipe.seed,
        "width": recipe.width or 64, "height": recipe.height or 64, "device": "cpu", "dtype": "float32", "threads": 1,
        "rungs": [], "steps": recipe.effective_steps, "nominal_steps": recipe.nominal_steps, "tokens_cut": 0,
        "model_calls": recipe.effective_steps, "guidance_active": guided, "negative_used": bool(recipe.negative_prompt) and guided,
        "source_sha256": source.pixels_sha256 if source else None,
    }  # fmt: skip


class Engine:
    """Stands for `generate`, ledger included: the picture depends on every setting; a step can be held up."""

    def __init__(self, gate: threading.Event | None = None, error: Exception | None = None, outcome: str = "ok") -> None:
        self.calls: list[Any] = []
        self.gate, self.error, self.outcome = gate, error, outcome
        self.reached = threading.Event()

    def __call__(self, recipe: Any, model: Any = None, *, source: Any = None, ledger: Any = None, on_step: Any = None, should_stop: Any = None) -> Run:
        self.calls.append(recipe)
        key = hashlib.sha256(f"{recipe.hash}{source and source.pixels_sha256}".encode()).hexdigest()[:32]
        if ledger and (event := ledger.lookup(key)):
            return Run.from_picture(event["path"])
        for index in range(recipe.effective_steps):
            if should_stop and should_stop():
                raise Cancelled("stopped")
            on_step and on_step(SimpleNamespace(index=index, total=recipe.effective_steps, preview=lambda: picture(3, side=8)))
            self.reached.set()
            if self.gate is not None:
                assert self.gate.wait(10)
        if self.error:
            raise self.error
        shade = int(key[:2], 16)
        image = Image.blend(picture(shade % 7), Image.new("RGB", (64, 64), (shade, 255 - shade, 90)), 0.3).resize((recipe.width or 64, recipe.height or 64))
        known = source.described() if source else None
        run = Run(
            recipe=recipe, effective=effective(recipe, source), timings={"total": 0.5}, environment={}, source=known,
            outcome=self.outcome, key=key, image=image if self.outcome == "ok" else None,
        )  # fmt: skip
        if ledger is None or self.outcome != "ok":
            return run
        if source is not None:
            ledger.keep_source(source)
        ledger.start(key)
        path = ledger.finish(key, image, recipe, run.record(), composite=run.composite, infotext=run.infotext())
        return Run.from_picture(path)


def studio(folder: Path, **engine: Any) -> tuple[Studio, Engine]:
    """A studio on that engine, with two photos to choose from."""
    inputs = folder / "inputs"
    inputs.mkdir(exist_ok=True)
    picture(1, side=96).save(inputs / "product.jpg")
    picture(2, side=80).save(inputs / "mug.png")
    (inputs / "notes.txt").write_text("no photo")
    made = Engine(**engine)
    return Studio(Model(), Ledger(folder / "outputs"), inputs=inputs, generate=made), made


def all_html(widget: Any) -> str:
    """All markup in a widget and in what it holds."""
    import ipywidgets

    found = [widget.value] if isinstance(widget, ipywidgets.HTML) else []
    return "\n".join([*found, *(all_html(child) for child in getattr(widget, "children", ()))])

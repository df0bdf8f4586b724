"""tp2lib: controlled experiments with diffusion image generation, with product photos as the example.

>>> from tp2lib import OUTPUTS, Ledger, Recipe, generate, load
>>> model = load()
>>> run = generate(Recipe(prompt="a red apple on a white table"), model, ledger=Ledger(OUTPUTS))

`import tp2lib` is fast because it loads none of the large packages: each name is imported when it is first used.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tp2lib.startup import attach, settle_threads

if TYPE_CHECKING:
    from tp2lib.cli.doctor import doctor
    from tp2lib.engine.generate import generate
    from tp2lib.engine.inpainting import cut_out
    from tp2lib.engine.plan import resolve
    from tp2lib.engine.replay import GRADES, replay, replay_all
    from tp2lib.engine.runs import Run
    from tp2lib.engine.sweep import sweep
    from tp2lib.errors import TP2Error
    from tp2lib.evaluation.experiments import EXPERIMENTS
    from tp2lib.metadata.infotext import from_infotext
    from tp2lib.metadata.pixels import open_image
    from tp2lib.metadata.source import prepare_source
    from tp2lib.metrics.measures import measure
    from tp2lib.metrics.prompt_adherence import adherence
    from tp2lib.models.loading import load, unknown_words
    from tp2lib.paths import INPUTS, OUTPUTS
    from tp2lib.plots.display import before_after, show
    from tp2lib.plots.grid import show_grid
    from tp2lib.recipe import Recipe, setting
    from tp2lib.storage.ledger import Ledger
    from tp2lib.storage.pictures import export_picture, read_recipe, read_record
    from tp2lib.widgets.panel import Panel

settle_threads()  # before torch is loaded: afterwards it has no effect
for _library in ("DIFFUSERS", "TRANSFORMERS"):  # what they would remark (torchvision, long prompts), the run's record and labels say
    os.environ.setdefault(f"{_library}_VERBOSITY", "error")
__getattr__, __dir__, __all__ = attach(__name__, __file__)

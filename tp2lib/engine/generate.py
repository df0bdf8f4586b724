"""Execute a recipe, or find its run in the ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tp2lib.engine.inpainting import cut_out
from tp2lib.engine.plan import Plan, make_plan, model_for
from tp2lib.engine.preview import StepInfo
from tp2lib.engine.runs import Run, read_run
from tp2lib.engine.sampling import sample_together
from tp2lib.errors import RecordError, SourceError, shown
from tp2lib.metadata.source import Source, reopen_source
from tp2lib.models.loading import Model
from tp2lib.recipe import Recipe
from tp2lib.storage.ledger import Ledger


def generate(
    recipe: Recipe,
    model: Model | None = None,
    *,
    source: Source | None = None,
    on_step: Callable[[StepInfo], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    ledger: Ledger | None = None,
    fallbacks: Sequence[str] = (),
    batch_width: int = 1,
) -> Run:
    """Execute a recipe, or find the run in the ledger if it was executed before.

    Parameters
    ----------
    recipe : Recipe
    model : Model, optional
        The model to run it on; by default, the one that the recipe names.
    source : Source, optional
        The prepared photo; by default, `recipe.source` is prepared (cropped to the size wanted), or cut out if there is a mask.
    on_step : callable, optional
        Called with a `StepInfo` after each model call. May raise `Cancelled`.
    should_stop : callable, optional
        Asked before each stage and after each step, such as ``threading.Event().is_set``.
    ledger : Ledger, optional
        Where runs are kept. Without one, nothing is written.
    fallbacks : sequence of str, optional
        Memory fallbacks to use from the start, so that the runs of a sweep can be compared.
    batch_width : int, default 1
        Give the model as many rows as this many pictures have, the others being filled up: the very bits of a sweep's pictures.

    Returns
    -------
    Run
        Its `outcome` is "ok" where there is a picture; a run that came out as not-a-number, black
        or flagged says so, and is never kept as done.

    Raises
    ------
    RecipeError, SourceError, ModelError
        If the recipe cannot be run.
    Cancelled
        If it was stopped; model and ledger stay sound.
    Quarantined
        If this very run took down its process before, twice.
    """
    plan = make_plan(recipe, model_for(recipe, model), find_source(recipe, source, ledger), fallbacks, batch_width)
    if ledger:
        if found := reuse(plan, ledger):
            return found
        ledger.start(plan.key)
    return run_together([plan], on_step=on_step, should_stop=should_stop, ledger=ledger)[0]


def run_together(
    plans: Sequence[Plan], *, on_step: Callable[[StepInfo], None] | None = None, should_stop: Callable[[], bool] | None = None, ledger: Ledger | None = None
) -> list[Run]:
    """Execute plans of one batch, see `sample_together`; with a ledger, those that were started or claimed in it."""
    done: list[Run] = []
    try:
        for plan in plans:
            if ledger and plan.source:
                ledger.keep_source(plan.source)
        for run in sample_together(plans, on_step=on_step, should_stop=should_stop):
            done.append(_keep(run, ledger))
    except BaseException as error:
        for plan in plans[len(done) :]:
            if ledger:
                ledger.fail(plan.key, f"{type(error).__name__}: {error}")
        raise
    return done


def _keep(run: Run, ledger: Ledger | None) -> Run:
    if ledger and run.outcome == "ok":
        return replace(run, path=ledger.finish(run.key, run.picture, run.recipe, run.record(), composite=run.composite, infotext=run.infotext()))
    if ledger:
        ledger.fail(run.key, run.outcome)
    return run


def find_source(recipe: Recipe, source: Source | None, ledger: Ledger | None) -> Source | None:
    """Look up a photo that is named by its hash, or cut one out; without a mask, a path is left to the plan, which knows the size."""
    if not isinstance(ledger, (Ledger, type(None))):
        raise RecordError(f"the ledger is {shown(ledger)}; it must be a Ledger, such as Ledger('outputs').")
    if source is not None or recipe.source is None:
        return source
    if not recipe.source.startswith("sha256:"):
        return cut_out(recipe.source, recipe.mask) if recipe.mask else None
    kept = ledger.find_source(recipe.source) if ledger else None
    if kept is None:
        raise SourceError(
            f"the source is {recipe.source[:20]}…, a photo known by its hash only, and it is not among the kept "
            "sources. Give source=prepare_source(the photo, width, height)."
        )
    return reopen_source(kept)


def reuse(plan: Plan, ledger: Ledger) -> Run | None:
    """Find the finished run of a plan, and give it the plan's recipe, which may differ in settings without effect."""
    found = read_run(ledger, plan.key)
    return found and replace(found, recipe=plan.recipe)

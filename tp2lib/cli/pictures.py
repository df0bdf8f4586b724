"""The commands that make pictures: ``tp2 run``, ``generate``, ``background``, ``sweep`` and ``replay``, and the one that reads them: ``tp2 read``."""

from __future__ import annotations

import dataclasses
import inspect
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tp2lib.engine import planfile
from tp2lib.errors import OutputError, RecipeError, RecordError, TP2Error
from tp2lib.evaluation.experiments import EXPERIMENTS, PARTS, choose_experiments, run_experiment
from tp2lib.paths import INPUTS, OUTPUTS
from tp2lib.recipe import Recipe, setting

if TYPE_CHECKING:
    from tp2lib.engine.runs import Run
    from tp2lib.models.loading import Model

Outputs = Annotated[Path, typer.Option(metavar="DIR", show_default="outputs/ of the clone", help="where pictures go")]
FileName = Annotated[str | None, typer.Option(metavar="NAME.png", help="keep a copy of the picture under this name")]
ModelName = Annotated[str, typer.Option("--model", metavar="NAME", help="auto, vitrine, sd15, a folder, a .safetensors file or a hub id")]

_EXAMPLE = inspect.cleandoc((planfile.__doc__ or "").partition("::")[2])
_NAMES = sorted({*PARTS, *EXPERIMENTS})

pictures = typer.Typer()


def say(line: str) -> None:
    """Print a line to standard error."""
    print(line, file=sys.stderr, flush=True)


@pictures.command()
def run(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help=f"only these: {', '.join(_NAMES)}", autocompletion=lambda: _NAMES)] = None,
    inputs: Annotated[Path, typer.Option(metavar="DIR", show_default="inputs/ of the clone", help="the folder of product.jpg")] = INPUTS,
    model_name: ModelName = "auto",
    outputs: Outputs = OUTPUTS,
) -> None:
    """Run the report's experiments, and name their pictures as it does."""
    from tp2lib.storage.ledger import Ledger

    try:
        chosen = choose_experiments(names or [])
    except RecipeError as error:
        raise typer.BadParameter(str(error)) from None
    model, ledger, failed = _load(model_name), Ledger(outputs), 0
    began = time.perf_counter()
    for number, one in enumerate(chosen, start=1):
        head = f"[{number:>2}/{len(chosen)}] {one.file:<28}"
        try:
            with _progress(head) as on_step:
                made = run_experiment(one, model, ledger, inputs=inputs, on_step=on_step)
        except OutputError:
            raise
        except TP2Error as error:  # the others may still work
            failed += 1
            say(f"{head} failed: {error}")
            continue
        failed += made.outcome != "ok"
        print(f"{head} {_cost(made)}  {one.about}", flush=True)
    took = time.perf_counter() - began
    print(f"{len(chosen) - failed} of {len(chosen)} pictures are in {outputs}, {took:.0f} s")
    raise typer.Exit(failed > 0)


def _number(text: object) -> int | float | str:
    text = str(text)  # typer gives the default, too: int(7.5) would be 7
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text


def _with_settings(*arguments: str, **defaults: Any) -> Callable[[Any], Any]:
    """Give a command one option for each setting of the recipe, with the sliders' words and ranges; `arguments` are given without a name."""

    def decorate(command: Any) -> Any:
        options = []
        for name in [*arguments, *(field.name for field in dataclasses.fields(Recipe) if field.name not in arguments)]:
            known = setting(name)
            words = f"{known.help}: {', '.join(known.choices)}" if known.choices else known.help
            if name in arguments:
                option, default = Annotated[str, typer.Argument(help=words)], inspect.Parameter.empty
            else:  # the recipe checks the values: its messages say what is allowed
                how = {"metavar": f"<{known.min} to {known.max}>", "parser": _number} if known.kind in ("whole", "real") else {"metavar": "<text>"}
                option = Annotated[str, typer.Option(help=words, autocompletion=[*(known.choices or ())].copy, **how)]
                default = defaults.get(name, known.default)
            options.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=option, default=default))
        own = [one for one in inspect.signature(command, eval_str=True).parameters.values() if one.kind == one.KEYWORD_ONLY]
        command.__signature__ = inspect.Signature([*options, *own])
        return command

    return decorate


@pictures.command()
@_with_settings("prompt")
def generate(*, file: FileName = None, outputs: Outputs = OUTPUTS, **settings: Any) -> None:
    """Make one picture; its path is printed."""
    _make(settings, file, outputs)


@pictures.command()
@_with_settings("source", "prompt", mask="auto")
def background(*, file: FileName = None, outputs: Outputs = OUTPUTS, **settings: Any) -> None:
    """Keep the product of a photo as it is and paint what is around it; the picture's path is printed.

    The mask is white where the photo stays. `auto` takes the photo's transparency, or finds the product where it has none.
    """
    _make(settings, file, outputs)


def _make(settings: dict[str, Any], file: str | None, outputs: Path) -> None:
    from tp2lib.storage.ledger import Ledger, check_name

    try:
        recipe = Recipe(**settings)
        if file is not None:
            check_name(file)
    except (RecipeError, RecordError) as error:
        raise typer.BadParameter(str(error)) from None
    from tp2lib.engine.generate import generate
    from tp2lib.metadata.readings import foreign_syntax
    from tp2lib.models.loading import out_of_vocabulary

    model, ledger = _load(recipe.model), Ledger(outputs)
    for remark in (out_of_vocabulary(model, recipe.prompt), foreign_syntax(recipe.prompt, recipe.negative_prompt)):
        if remark:
            say(remark)
    with _progress("generate") as on_step:
        made = generate(recipe, model, ledger=ledger, on_step=on_step)
    say(_cost(made))
    if made.outcome != "ok":
        raise typer.Exit(1)
    if made.source and recipe.mask:
        say("; ".join(made.source["chain"]))
        say(f"kept: {made.effective['kept_share']:.1%} of the photo, and {made.effective['kept_pixels_differing']} of the kept pixels differ from it")
    print(ledger.publish(made, file) if file else made.path)


@pictures.command(epilog=f"A plan looks like this:\n\n```toml\n{_EXAMPLE}\n```")
def sweep(
    plan: Annotated[Path, typer.Argument(metavar="PLAN.toml", help="what to vary")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what it would cost")] = False,
    outputs: Outputs = OUTPUTS,
) -> None:
    """Vary one or two settings, and prove that nothing else varied.

    Processes that are given the same plan share its pictures: `accelerate launch --num_processes 2 -m tp2lib sweep PLAN.toml`.
    """
    from tp2lib.storage.ledger import Ledger

    read = planfile.read_plan(plan)
    from tp2lib.engine.sweep import sweep

    model, ledger = _load(read.recipe.model), Ledger(outputs)
    first = os.environ.get("RANK", "0") == "0"  # only one process of a launch prints
    how: dict[str, Any] = {"say": say if first else lambda line: None, "dry_run": dry_run, "progress": first and not dry_run and sys.stderr.isatty()}
    result = sweep(read.recipe, model, seeds=read.seeds, ledger=ledger, **how, **read.axes)
    for cell in result.cells if first else ():
        place = ", ".join(f"{name} {value}" for name, value in cell.place.items())
        print(f"{place}: {cell.error or (cell.run.path if cell.run else 'planned')}")
    raise typer.Exit(any(cell.error for cell in result.cells))


@pictures.command()
def replay(
    files: Annotated[list[Path], typer.Argument(help="PNG files that tp2 made")],
    model_name: Annotated[
        str | None, typer.Option("--model", help="the model to use, for pictures of one that neither the catalogue nor TP2_MODEL names")
    ] = None,
    vae: Annotated[Path | None, typer.Option(metavar="PATH", help="the VAE to use, for pictures made with another one than the model's")] = None,
    at_least: Annotated[Literal["identical", "within-1-level", "close"], typer.Option(help="exit with 1 for a worse grade")] = "close",
) -> None:
    """Render pictures again in a fresh process, and grade how well they match."""
    from tp2lib.engine.replay import GRADES, replay_tasks, replayable

    found = _readable(files, partial(replayable, model=model_name, vae=vae))
    verdicts = replay_tasks([task for _, task in found])
    for (picture, _), verdict in zip(found, verdicts, strict=True):
        print(_visible(f"{picture}: {verdict}"))
    allowed = GRADES[: GRADES.index(at_least.replace("-", " ")) + 1]
    raise typer.Exit(len(found) < len(files) or any(verdict.grade not in allowed for verdict in verdicts))


@pictures.command()
def read(files: Annotated[list[Path], typer.Argument(help="PNG, JPEG or WebP files, whichever tool made them")]) -> None:
    """Say which settings pictures carry: what is found, what would be assumed, what is ignored."""
    from tp2lib.storage.pictures import read_recipe

    found = _readable(files, read_recipe)
    for picture, reading in found:
        print(_visible(f"{picture}: {reading}"))
    raise typer.Exit(len(found) < len(files))


def _readable(files: list[Path], read: Callable[[Path], Any]) -> list[tuple[Path, Any]]:
    """Return what can be read, each with its file, and say why the others cannot be."""
    found = []
    for picture in files:
        try:
            found.append((picture, read(picture)))
        except TP2Error as error:
            say(_visible(f"{picture}: {error}"))
    return found


def _visible(text: str) -> str:
    """Return text with its control characters spelled out: a stranger's file must not write escape sequences to the terminal."""
    return "".join(one if one.isprintable() or one in "\n\xa0" else ascii(one)[1:-1] for one in text)


def _load(name: str) -> Model:
    from tp2lib.models.loading import load

    model = load(name)
    for note in model.notes:
        say(note)
    return model


@contextmanager
def _progress(head: str) -> Iterator[Callable[[Any], None]]:
    """Show the steps of a picture as a bar on a terminal; nothing where there is none."""
    from tqdm import tqdm

    with tqdm(desc=head, leave=False, disable=None) as bar:

        def show(step: Any) -> None:
            bar.total = step.total
            bar.update()

        yield show


def _cost(made: Run) -> str:
    if made.outcome != "ok":
        return f"no picture: it came out {made.outcome}"
    return "kept from before" if made.reused else f"{made.timings['total']:5.1f} s"

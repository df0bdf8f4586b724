"""The command line: ``tp2 lab``, ``run``, ``generate``, ``sweep``, ``replay``, ``report`` and ``doctor``.

Results go to standard output, one a line; what is said on the way goes to standard error. Exit
status: 0 all is well, 1 the work or a check failed, 2 the command was not understood, 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tp2lib.cli.report import add_report_options, report_command
from tp2lib.engine import planfile
from tp2lib.errors import ModelError, OutputError, RecipeError, TP2Error
from tp2lib.evaluation.experiments import EXPERIMENTS, PARTS, choose_experiments, run_experiment
from tp2lib.paths import INPUTS, NOTEBOOKS, OUTPUTS, ROOT
from tp2lib.recipe import Recipe, setting

if TYPE_CHECKING:
    from tp2lib.engine.runs import Run
    from tp2lib.models.loading import Model

__all__ = ["main"]

_GRADES = ("identical", "within-1-level", "close", "different")  # as in tp2lib.engine.replay, in one word each
_Command = Callable[[argparse.Namespace], int]
_TYPES = {"whole": int, "real": float, "text": str, "choice": str}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default, those of the process.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # a pipe on Windows may not know "…"
    given = _parser().parse_args(arguments)
    try:
        return given.command(given)
    except TP2Error as error:
        _say(f"tp2 {given.name}: {error}")
        if isinstance(error, ModelError):
            _say("`tp2 doctor` says what is missing here, and what mends it.")
        return 1
    except KeyboardInterrupt:
        _say("\nStopped. Pictures that were finished are kept; the same command goes on from there.")
        return 130
    except BrokenPipeError:  # the reader of our output is gone, as in `tp2 doctor | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


# -- the commands ------------------------------------------------------------------------------------


def _lab(given: argparse.Namespace) -> int:
    notebook = NOTEBOOKS / "01_smoke.ipynb"
    if not notebook.is_file():
        raise OutputError(f"{notebook} is not there; the notebooks come with the clone, so start `tp2 lab` in one.")
    environment = {**os.environ, "TP2_OUTPUTS": str(given.outputs.resolve())}
    first = f"/lab/tree/notebooks/{notebook.name}"  # the whole clone is served, since notebooks link into it
    offline = "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"  # it would ask a server at each start
    opened = ["--ServerApp.root_dir", str(ROOT), "--LabApp.default_url", first, offline]
    with subprocess.Popen([sys.executable, "-m", "jupyterlab", *opened, *given.options], env=environment) as lab:
        while True:
            try:
                return lab.wait()
            except KeyboardInterrupt:  # JupyterLab got it too, and asks whether it is meant
                continue


def _app(given: argparse.Namespace) -> int:
    from tp2lib.widgets.app import serve

    how = {"port": given.port, "visitors": given.visitors, "browser": not given.no_browser}
    return serve(outputs=given.outputs, say=_say, **how)


def _run(given: argparse.Namespace) -> int:
    from tp2lib.storage.ledger import Ledger

    try:
        chosen = choose_experiments(given.names)
    except RecipeError as error:
        given.parser.error(str(error))
    model, ledger, failed = _load(given.model), Ledger(given.outputs), 0
    began = time.perf_counter()
    for number, one in enumerate(chosen, start=1):
        head = f"[{number:>2}/{len(chosen)}] {one.file:<28}"
        try:
            run = run_experiment(one, model, ledger, inputs=given.inputs, on_step=_progress(head))
        except OutputError:
            raise
        except TP2Error as error:  # the others may still work
            failed += 1
            _say(f"{head} failed: {error}")
            continue
        failed += run.outcome != "ok"
        print(f"{head} {_cost(run)}  {one.about}", flush=True)
    took = time.perf_counter() - began
    print(f"{len(chosen) - failed} of {len(chosen)} pictures are in {given.outputs}, {took:.0f} s")
    return 1 if failed else 0


def _generate(given: argparse.Namespace) -> int:
    from tp2lib.storage.ledger import Ledger

    names = [field.name for field in dataclasses.fields(Recipe)]
    try:
        recipe = Recipe(**{name: getattr(given, name) for name in names if hasattr(given, name)})
    except RecipeError as error:
        given.parser.error(str(error))
    from tp2lib.engine.generate import generate
    from tp2lib.plots.labels import out_of_vocabulary

    model, ledger = _load(recipe.model), Ledger(given.outputs)
    if unknown := out_of_vocabulary(model, recipe.prompt):
        _say(unknown)
    run = generate(recipe, model, ledger=ledger, on_step=_progress("generate"))
    _say(_cost(run))
    if run.outcome != "ok":
        return 1
    print(ledger.publish(run, given.file) if given.file else run.path)
    return 0


def _sweep(given: argparse.Namespace) -> int:
    from tp2lib.storage.ledger import Ledger

    plan = planfile.read_plan(given.plan)
    from tp2lib.engine.sweep import sweep

    model, ledger = _load(plan.recipe.model), Ledger(given.outputs)
    how = {"say": _say, "dry_run": given.dry_run, "progress": not given.dry_run and sys.stderr.isatty()}
    result = sweep(plan.recipe, model, seeds=plan.seeds, ledger=ledger, **how, **plan.axes)
    for cell in result.cells:
        place = ", ".join(f"{name} {value}" for name, value in cell.place.items())
        print(f"{place}: {cell.error or (cell.run.path if cell.run else 'planned')}")
    return 1 if any(cell.error for cell in result.cells) else 0


def _replay(given: argparse.Namespace) -> int:
    from tp2lib.engine.replay import GRADES, replay_all

    verdicts = replay_all(given.pictures, model=given.model)
    for picture, verdict in zip(given.pictures, verdicts, strict=True):
        print(f"{picture}: {verdict}")
    worst = max(GRADES.index(verdict.grade) for verdict in verdicts)
    return 1 if worst > _GRADES.index(given.at_least) else 0


def _doctor(given: argparse.Namespace) -> int:
    from tp2lib.cli.doctor import doctor

    checks = doctor(given.outputs, model=given.model, say=lambda check: print(check, flush=True))
    bad = sum(not check.ok for check in checks)
    print(f"{bad} of {len(checks)} checks failed." if bad else f"All {len(checks)} checks are well.")
    return 1 if bad else 0


# -- what they share ---------------------------------------------------------------------------------


def _load(name: str) -> Model:
    from tp2lib.models.loading import load

    model = load(name)
    for note in model.notes:
        _say(note)
    return model


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _progress(head: str) -> Callable[[Any], None] | None:
    """Count the steps of a picture on the last line of a terminal; nothing where there is none."""
    if not sys.stderr.isatty():
        return None

    def show(step: Any) -> None:
        last = step.index + 1 == step.total
        line = "" if last else f"{head} step {step.index + 1}/{step.total}"
        print(f"\r{line}\033[K", end="\r", file=sys.stderr, flush=True)

    return show


def _cost(run: Run) -> str:
    if run.outcome != "ok":
        return f"no picture: it came out {run.outcome}"
    return "kept from before" if run.reused else f"{run.timings['total']:5.1f} s"


# -- what is understood ------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tp2", description="Controlled experiments with diffusion image generation, on product photos.",
        epilog="Exit status: 0 all is well, 1 the work or a check failed, 2 the command was not understood.",
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"tp2lib {_version()}")
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")

    def add(name: str, command: _Command, about: str, **more: Any) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.", **more)
        one.set_defaults(command=command, parser=one)
        if name != "replay":
            words = "where pictures go (default: outputs/ of the clone)"
            one.add_argument("--outputs", type=Path, default=OUTPUTS, metavar="DIR", help=words)
        return one

    lab = add("lab", _lab, "open the first notebook in JupyterLab")
    lab.add_argument("options", nargs="*", help="passed on to JupyterLab, after --: tp2 lab -- --no-browser")

    app = add("app", _app, "serve the mini-product of notebook 05 as a web page, to this computer only")
    app.add_argument("--port", type=int, default=8866, metavar="N", help="of the address, 1024 to 65535 (default: 8866)")
    words = "visitors at a time, each with a model in memory, 1 to 16 (default: 2)"
    app.add_argument("--visitors", type=int, default=2, metavar="N", help=words)
    app.add_argument("--no-browser", action="store_true", help="only print the address")

    run = add("run", _run, "run the report's experiments, and name their pictures as it does")
    words = f"only these: {', '.join(PARTS)}, or one of {', '.join(EXPERIMENTS)}"
    run.add_argument("names", nargs="*", metavar="NAME", help=words)
    words = "the folder of product.jpg (default: inputs/ of the clone)"
    run.add_argument("--inputs", type=Path, default=INPUTS, metavar="DIR", help=words)
    run.add_argument("--model", default="auto", help="auto, vitrine, sd15, a folder or a hub id (default: auto)")

    generate = add("generate", _generate, "make one picture; its path is printed")
    for field in dataclasses.fields(Recipe):
        _add_setting(generate, field.name)
    generate.add_argument("--file", metavar="NAME.png", help="keep a copy of the picture under this name")

    example = (planfile.__doc__ or "").partition("::")[2]
    sweep = add(
        "sweep", _sweep, "vary one or two settings, and prove that nothing else varied",
        epilog=f"A plan looks like this:\n{example}", formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    sweep.add_argument("plan", type=Path, metavar="plan.toml", help="what to vary")
    sweep.add_argument("--dry-run", action="store_true", help="only say what it would cost")

    replay = add("replay", _replay, "render pictures again in a fresh process, and grade how well they match")
    replay.add_argument("pictures", nargs="+", type=Path, metavar="PICTURE", help="a PNG that tp2 made")
    replay.add_argument("--model", help="the model to use, for pictures of one that is not in the catalogue")
    words = "exit with 1 for a worse grade (default: close)"
    replay.add_argument("--at-least", choices=_GRADES[:3], default="close", help=words)

    report = add("report", report_command, "write the report of what was made, from its records")
    add_report_options(report)

    doctor = add("doctor", _doctor, "check the installation, and make one timed picture")
    doctor.add_argument("--model", default="auto", help="what to make the picture with (default: auto)")
    return parser


def _add_setting(parser: argparse.ArgumentParser, name: str) -> None:
    """Add a setting of the recipe as an option; its words and its range are those of the sliders."""
    known = setting(name)
    if known.required:
        parser.add_argument(name, help=known.help)
        return
    parts = [f"{known.min} to {known.max}"] if known.kind in ("whole", "real") else []
    parts += [", ".join(known.choices)] if known.choices else []
    parts += [f"default: {known.default}"] if known.default not in (None, "") else []
    words = f"{known.help} ({'; '.join(parts)})" if parts else known.help
    kind = {"whole": "N", "real": "X"}.get(known.kind, "TEXT")
    parser.add_argument(
        f"--{name.replace('_', '-')}", type=_TYPES[known.kind], default=argparse.SUPPRESS, metavar=kind,
        help=words.replace("%", "%%"),
    )  # fmt: skip


def _version() -> str:
    import importlib.metadata

    return importlib.metadata.version("tp2lib")


if __name__ == "__main__":
    sys.exit(main())

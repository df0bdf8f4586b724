"""The command line, ``tp2``.

Results go to standard output, one a line; progress and messages go to standard error. Exit
status: 0 all is well, 1 the work or a check failed, 2 the command was not understood, 130 Ctrl-C.
"""

from __future__ import annotations

import importlib.metadata
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from tp2lib.cli.pictures import ModelName, Outputs, pictures, say
from tp2lib.errors import ModelError, OutputError, TP2Error
from tp2lib.evaluation.experiments import choose_experiments
from tp2lib.paths import NOTEBOOKS, OUTPUTS, ROOT


class _Commands(TyperGroup):
    """Say what went wrong in one message, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except TP2Error as error:
            say(f"tp2 {ctx.invoked_subcommand}: {error}")
            if isinstance(error, ModelError):
                say("`tp2 doctor` says what is missing here, and how to fix it.")
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            say("\nStopped. Pictures that were finished are kept; the same command goes on from there.")
            raise


app = typer.Typer(cls=_Commands, no_args_is_help=True, rich_markup_mode="markdown", pretty_exceptions_enable=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, by default the process's own, and return its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a pipe on Windows may not know "…"
    try:
        app(arguments, prog_name="tp2")
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def _version(wanted: bool) -> None:
    if wanted:
        print(f"tp2lib {importlib.metadata.version('tp2lib')}")
        raise typer.Exit


@app.callback(epilog="Exit status: 0 all is well, 1 the work or a check failed, 2 the command was not understood.")
def _tp2(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version")] = False) -> None:
    """Run controlled experiments with diffusion image generation, on product photos."""


# -- the commands ------------------------------------------------------------------------------------


@app.command()
def lab(
    options: Annotated[list[str] | None, typer.Argument(help="passed on to JupyterLab, after --: `tp2 lab -- --no-browser`")] = None,
    outputs: Outputs = OUTPUTS,
) -> None:
    """Open the first notebook in JupyterLab."""
    notebook = NOTEBOOKS / "01_smoke.ipynb"
    if not notebook.is_file():
        raise OutputError(f"{notebook} is not there; the notebooks come with the clone, so start `tp2 lab` in one.")
    environment = {**os.environ, "TP2_OUTPUTS": str(outputs.resolve())}
    first = f"/lab/tree/notebooks/{notebook.name}"  # the whole clone is served, since notebooks link into it
    offline = "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"  # it would ask a server at each start
    opened = ["--ServerApp.root_dir", str(ROOT), "--LabApp.default_url", first, offline]
    with subprocess.Popen([sys.executable, "-m", "jupyterlab", *opened, *(options or [])], env=environment) as process:
        while True:
            try:
                raise typer.Exit(process.wait())
            except KeyboardInterrupt:  # JupyterLab got it too, and asks whether it is meant
                continue


@app.command("app")
def _app(
    port: Annotated[int, typer.Option(help="of the address, 1024 to 65535")] = 8866,
    visitors: Annotated[int, typer.Option(help="visitors at a time, each with a model in memory, 1 to 16")] = 2,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="only print the address")] = False,
    outputs: Outputs = OUTPUTS,
) -> None:
    """Serve the mini-product of notebook 05 as a web page, to this computer only."""
    from tp2lib.widgets.app import serve

    raise typer.Exit(serve(port=port, visitors=visitors, browser=not no_browser, outputs=outputs, say=say))


app.add_typer(pictures)


@app.command()
def report(
    lang: Annotated[Literal["en", "fr"], typer.Option(help="the report's language")] = "en",
    to: Annotated[Path | None, typer.Option(metavar="DIR", help="where to write it", show_default="beside the pictures; with --class, in its DIR")] = None,
    learners: Annotated[
        Path | None,
        typer.Option("--class", metavar="DIR", help="the instructor's view: one table of all learners' outputs folders that lie in DIR"),
    ] = None,
    again: Annotated[
        list[str] | None,
        typer.Option("--replay", metavar="NAME", help="with --class: replay this picture of every learner here, such as baseline; may be given again"),
    ] = None,
    outputs: Outputs = OUTPUTS,
) -> None:
    """Write the report of what was made, from its records; its paths are printed."""
    if learners is None:
        if again:
            raise typer.BadParameter("--replay goes with --class; to replay your own pictures: tp2 replay PICTURE ...")
        from tp2lib.report.report import write_report

        paths = write_report(outputs, lang, to=to)
    else:
        from tp2lib.report.classroom import replay_sample, write_class

        replayed = replay_sample(learners, [one.name for one in choose_experiments(again)]) if again else None
        paths = write_class(learners, lang, to=to, replayed=replayed)
    print(*paths, sep="\n")


@app.command()
def bench(
    parts: Annotated[list[str] | None, typer.Argument(metavar="[PART]...", help="diffusers, settings, memory, replays, use; all for none")] = None,
    device: Annotated[str | None, typer.Option(help="cuda, mps or cpu", show_default="the best one that works")] = None,
    again: Annotated[bool, typer.Option("--again", help="measure again what bench.json has")] = False,
    outputs: Outputs = OUTPUTS,
) -> None:
    """Measure this machine, part by part, in at most 8 minutes on a GPU; nothing is fetched."""
    from tp2lib.cli.bench import bench

    path = bench(outputs, parts, device=device, again=again, say=lambda line: print(line, flush=True))
    print(path)
    failed = json.loads(path.read_text(encoding="utf-8"))["failed"]
    raise typer.Exit(any(part in failed for part in parts or failed))


@app.command()
def pages(
    to: Annotated[Path, typer.Option(metavar="DIR", file_okay=False, help="the site's folder")] = Path("_build/pages"),
    executed: Annotated[
        Path | None, typer.Option(metavar="DIR", help="notebooks that are executed already, with outputs/ beside them", show_default="they are executed")
    ] = None,
) -> None:
    """Build the executed course as a static site, to read without running anything (extra `pages`)."""
    from tp2lib.cli.site import build_pages

    for warning in build_pages(to, executed, say=say):
        say(warning)
    print(to / "index.html")


@app.command()
def doctor(model_name: ModelName = "auto", outputs: Outputs = OUTPUTS) -> None:
    """Check the installation, and make one timed picture."""
    from tp2lib.cli.doctor import doctor

    checks = doctor(outputs, model=model_name, say=lambda check: print(check, flush=True))
    bad = sum(not check.ok for check in checks)
    print(f"{bad} of {len(checks)} checks failed." if bad else f"All {len(checks)} checks passed.")
    raise typer.Exit(bad > 0)

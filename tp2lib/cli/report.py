"""The command ``tp2 report``: a learner's report, or the instructor's view of many."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["add_report_options", "report_command"]


def add_report_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``tp2 report``."""
    parser.add_argument("--lang", choices=("en", "fr"), default="en", help="the report's language (default: en)")
    parser.add_argument("--to", type=Path, metavar="DIR", help="where to write it (default: beside the pictures)")
    words = "the instructor's view: one table of all learners' outputs folders that lie in DIR"
    parser.add_argument("--class", dest="learners", type=Path, metavar="DIR", help=words)
    words = "with --class: replay this picture of every learner here, such as baseline; may be given again"
    parser.add_argument("--replay", action="append", default=[], metavar="NAME", help=words)


def report_command(given: argparse.Namespace) -> int:
    """Write the report, print its paths, and return the exit status."""
    if given.learners is None:
        from tp2lib.report.report import write_report

        paths = write_report(given.outputs, given.lang, to=given.to)
    else:
        from tp2lib.evaluation.experiments import choose_experiments
        from tp2lib.report.classroom import replay_sample, write_class

        names = [one.name for one in choose_experiments(given.replay)] if given.replay else []
        replayed = replay_sample(given.learners, names) if names else None
        paths = write_class(given.learners, given.lang, to=given.to, replayed=replayed)
    for path in paths:
        print(path)
    return 0

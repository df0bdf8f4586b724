"""The report and the class view, in which each number names its source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tp2lib.startup import attach

if TYPE_CHECKING:
    from tp2lib.report.classroom import learners, make_class, write_class
    from tp2lib.report.gather import kept_runs
    from tp2lib.report.report import audit_report, make_report, write_report

__getattr__, __dir__, __all__ = attach(__name__, __file__)

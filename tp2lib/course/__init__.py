"""Predictions, exercises and progress of a learner, kept on their computer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tp2lib.startup import attach

if TYPE_CHECKING:
    from tp2lib.course.exercises import (  # noqa: I001 (a notebook's questions stand together)
        progress_line, questions,
        q1_1, q1_2, q1_3, q2_1, q2_2, q2_3, q3_1, q3_2, q3_3, q3_4, q3_5,
        q4_1, q4_2, q4_3, q4_4, q4_5, q5_1, q5_2, q5_3, q5_4, q6_1, q6_2, q6_3, q6_4,
    )  # fmt: skip
    from tp2lib.course.exercises_04_06 import ninths, read_plan_text
    from tp2lib.course.findings import make_calibration, read_calibration, tabulate, verdict
    from tp2lib.course.predictions import Predictions, judged
    from tp2lib.course.progress import open_answers, read_events, summary

__getattr__, __dir__, __all__ = attach(__name__, __file__)

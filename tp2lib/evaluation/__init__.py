"""The report's experiments, and their evaluation: rubric, blind scoring, agreement, publication check."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tp2lib.startup import attach

if TYPE_CHECKING:
    from tp2lib.evaluation.experiments import (  # noqa: I001 (prompts, experiments, cases)
        APPLE, BACKPACK, PEN, WALLET,
        EXPERIMENTS, Experiment, choose_experiments, prepare_photo, run_experiment,
        CASES, check_cases,
    )  # fmt: skip
    from tp2lib.evaluation.panels import ReflectionPanel, ScorePanel
    from tp2lib.evaluation.product import fidelity_to, find_product
    from tp2lib.evaluation.rater_agreement import Agreement, agreement, compare, consistency, correlation, interval
    from tp2lib.evaluation.ratings import Ratings, find_ratings, read_ratings
    from tp2lib.evaluation.reflection import answer, answers
    from tp2lib.evaluation.risks import LIMITS, inspect
    from tp2lib.evaluation.rubric import CRITERIA, JUDGED, LEVELS, POINTS, make_exemplars, total
    from tp2lib.evaluation.run_measures import Proof, costs, energy_kwh, prove_all
    from tp2lib.evaluation.scoring import BlindScoring

__getattr__, __dir__, __all__ = attach(__name__, __file__)

"""``tp2 bench``: what this machine can do, measured against diffusers in the same process; nothing is fetched."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tp2lib.cli.benchparts import PARTS, Bench, Row
from tp2lib.errors import RecipeError, did_you_mean
from tp2lib.storage.files import write_atomically

__all__ = ["FILE", "bench", "table"]

FILE = "bench.json"
_BUDGET = 480  # seconds; a part that would begin later is left for the next call


def bench(outputs: Path, parts: list[str] | None = None, *, device: str | None = None, again: bool = False, say: Callable[[str], Any] = print) -> Path:
    """Measure what is not measured yet, part by part, and write ``bench.json`` into `outputs`; return its path.

    A part that stands there for this machine and these versions is measured `again` only if asked. `say` gets each part's table as soon as it is measured.
    Without a GPU, vitrine stands for the model of SD 1.5's shapes.
    """
    for name in parts or ():
        if name not in PARTS:
            raise RecipeError(f"part {name!r} is not known; the parts are {', '.join(PARTS)}.{did_you_mean(name, PARTS)}")
    began, path = time.monotonic(), Path(outputs) / FILE
    bench = Bench(device)
    known = _read(path, bench.machine)
    for name in parts or PARTS:
        if name in known["parts"] and not again:
            say(f"{name}: measured before")
        elif time.monotonic() - began > _BUDGET:
            say(f"{name}: left for the next call, {_BUDGET} s are over")
            continue
        else:
            rows: list[Row] = []
            started = time.monotonic()
            try:
                rows.extend(PARTS[name](bench))
            except Exception as error:  # whatever a driver raises: the other parts still count
                rows.append(Row(what=name, note=f"failed: {type(error).__name__}: {str(error)[:300]}"))
            failed = any(row.note.startswith("failed") for row in rows)
            known["parts" if not failed else "failed"][name] = {
                "seconds": round(time.monotonic() - started, 1),
                "rows": [dataclasses.asdict(row) for row in rows],
            }
            write_atomically(path, lambda file: file.write(json.dumps(known, indent=1).encode()))
        for line in table(known["parts"].get(name) or known["failed"][name]):
            say(line)
    return path


def table(part: dict[str, Any]) -> list[str]:
    """Return a part's rows as lines; a figure that was not measured stays empty."""
    return [f"{row['what']:<58} {_shown(row['value']):>10} {row['unit']:<14} {row['note']}".rstrip() for row in part["rows"]]


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _read(path: Path, machine: dict[str, Any]) -> dict[str, Any]:
    """Read what was measured here before; figures of another machine or other versions are put aside."""
    fresh = {"machine": machine, "parts": {}, "failed": {}}
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return fresh
    same = isinstance(known, dict) and known.get("machine") == machine and isinstance(known.get("parts"), dict)
    return {**fresh, "parts": known["parts"]} if same else fresh

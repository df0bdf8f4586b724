"""Training state that survives a kill: modules, averages, optimiser, step, random state."""

from __future__ import annotations

import copy
import math
import os
import time
from pathlib import Path

import torch
from torch import nn


class Average:
    """Exponential moving average of a module's weights (Polyak & Juditsky, 1992).

    The decay is warmed up, ``min(decay, (1 + n) / (10 + n))``, so that early steps are forgotten.
    """

    def __init__(self, module: nn.Module, decay: float):
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self.decay, self.updates = decay, 0

    def restart(self, module: nn.Module) -> None:
        """Begin again from a module that was changed by other means than training."""
        self.module.load_state_dict(module.state_dict())
        self.updates = 0

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        mine, theirs = list(self.module.parameters()), list(module.parameters())
        torch._foreach_lerp_(mine, theirs, 1 - decay)


class Checkpoint:
    """Saves and restores a named set of stateful objects, at most every ``every`` seconds.

    Parameters
    ----------
    path : Path
        The file; written beside itself first, then renamed.
    parts : dict
        Objects with ``state_dict`` and ``load_state_dict``.
    averages : dict of str to Average
    """

    def __init__(self, path: Path, parts: dict, averages: dict[str, Average], every: float = 120.0):
        self.path, self.parts, self.averages, self.every = Path(path), parts, averages, every
        self.saved_at = time.monotonic()

    def load(self) -> int:
        """Restore everything and return the number of steps done (0 where no file is)."""
        if not self.path.exists():
            return 0
        state = torch.load(self.path, weights_only=True)
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
        for name, average in self.averages.items():
            average.module.load_state_dict(state[f"average.{name}"])
            average.updates = state[f"updates.{name}"]
        torch.set_rng_state(state["rng"])
        return state["step"]

    def save(self, step: int, force: bool = False) -> None:
        if not force and time.monotonic() - self.saved_at < self.every:
            return
        state = {name: part.state_dict() for name, part in self.parts.items()}
        for name, average in self.averages.items():
            state |= {f"average.{name}": average.module.state_dict(), f"updates.{name}": average.updates}
        state |= {"step": step, "rng": torch.get_rng_state()}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".tmp")
        torch.save(state, part)
        os.replace(part, self.path)
        self.saved_at = time.monotonic()


class Clock:
    """Prints progress, pace and time to go about every ``every`` seconds."""

    def __init__(self, name: str, first: int, total: int, every: float = 30.0):
        self.name, self.first, self.total, self.every = name, first, total, every
        self.started = self.told = time.monotonic()

    def tell(self, step: int, text: str = "") -> None:
        now = time.monotonic()
        if now - self.told < self.every and step != self.total:
            return
        self.told = now
        pace = (now - self.started) / max(1, step - self.first)
        print(f"{self.name} {step}/{self.total}  {text}  {pace * 1000:.0f} ms a step  {pace * (self.total - step) / 60:.0f} min to go", flush=True)


def autocast() -> torch.autocast:
    """bfloat16 where the processor has tiles for it (AMX).

    Without them it does not pay: emulated it is twelve times slower than float32, and on a processor
    with AVX512-BF16 alone a training step of the UNet still took 1.7 times as long.
    """
    return torch.autocast("cpu", torch.bfloat16, enabled=torch.cpu.get_capabilities().get("amx_bf16", False))


def learning_rate(step: int, total: int, warmup: int, floor: float = 0.05) -> float:
    """Linear warm-up, then cosine decay to ``floor`` times the peak, as a factor in [0, 1]."""
    if step < warmup:
        return (step + 1) / warmup
    t = (step - warmup) / max(1, total - warmup)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(t, 1.0)))

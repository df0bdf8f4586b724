"""What every training stage needs: a device, a time budget, a moving average, a checkpoint that survives a kill."""

from __future__ import annotations

import copy
import math
import os
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn


def choose_device(name: str = "auto") -> torch.device:
    """``cuda``, ``cpu``, or with ``auto`` the GPU where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise SystemExit("--device cuda: torch sees no CUDA GPU here. Use --device cpu, or a machine with one.")
    return torch.device(name)


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 on CUDA, and on processors with tiles for it (AMX).

    Elsewhere it does not pay: with AVX512-BF16 alone a training step of the UNet took 1.7 times as long
    as in float32, and emulated twelve times.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda" or torch.cpu.get_capabilities().get("amx_bf16", False))


class Budget:
    """Seconds that a stage may train in this sitting; what earlier sittings spent comes from its checkpoint.

    The learning rate follows the share of all sittings together, so that a stage that was cut off goes on where it was
    when it is given the time that was left.
    """

    def __init__(self, seconds: float):
        self.seconds, self.spent = seconds, 0.0
        self.last = time.monotonic()

    def start(self) -> None:
        """Begin to count: call it when everything is loaded."""
        self.last = time.monotonic()

    def tick(self) -> float:
        """Count the time since the last call; the share of the budget that is spent, at most 1."""
        now = time.monotonic()
        self.spent, self.last = self.spent + now - self.last, now
        return self.share

    @property
    def share(self) -> float:
        return min(1.0, self.spent / self.seconds) if self.seconds > 0 else 1.0

    def state_dict(self) -> dict:
        return {"spent": self.spent}

    def load_state_dict(self, state: dict) -> None:
        self.spent, self.seconds = state["spent"], self.seconds + state["spent"]


class Average:
    """Moving average of a module's weights over about the last twentieth of its steps.

    Power-function averaging of Karras et al. (2024, arXiv:2312.02696, section 3.1) with a relative width of 0.05, so that
    nothing has to be tuned to the length of the training.
    """

    GAMMA = 16.97

    def __init__(self, module: nn.Module):
        self.module: Any = copy.deepcopy(module).eval().requires_grad_(False)
        self.updates = 0

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        self.updates += 1
        keep = (1 - 1 / self.updates) ** (self.GAMMA + 1)
        torch._foreach_lerp_(list(self.module.parameters()), list(module.parameters()), 1 - keep)

    def state_dict(self) -> dict:
        return {"module": self.module.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict) -> None:
        self.module.load_state_dict(state["module"])
        self.updates = state["updates"]


class Checkpoint:
    """Saves and restores a named set of stateful objects, at most every ``every`` seconds.

    Parameters
    ----------
    path : Path
        The file; written beside itself first, then renamed.
    **parts
        Objects with ``state_dict`` and ``load_state_dict``.
    """

    def __init__(self, path: Path, every: float = 120.0, **parts):
        self.path, self.every, self.parts = Path(path), every, parts
        self.saved_at = time.monotonic()

    def load(self, device: torch.device) -> int:
        """Restore everything and return the number of steps done (0 where no file is)."""
        if not self.path.exists():
            return 0
        state = torch.load(self.path, weights_only=True, map_location=device)
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
        print(f"{self.path} goes on from step {state['step']}", flush=True)
        return state["step"]

    def save(self, step: int, force: bool = False) -> bool:
        """Write the file if it is due; whether it was."""
        if not force and time.monotonic() - self.saved_at < self.every:
            return False
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".tmp")
        torch.save({name: part.state_dict() for name, part in self.parts.items()} | {"step": step}, part)
        os.replace(part, self.path)
        self.saved_at = time.monotonic()
        return True


class Clock:
    """Prints step, share of the budget, pace and time to go about every ``every`` seconds."""

    def __init__(self, name: str, budget: Budget, every: float = 30.0):
        self.name, self.budget, self.every = name, budget, every
        self.steps, self.started, self.told = 0, budget.spent, budget.spent

    def tell(self, step: int, items: int, text: str = "", force: bool = False) -> None:
        """``items``: pictures or crops a step."""
        self.steps += 1
        spent = self.budget.spent
        if not force and spent - self.told < self.every:
            return
        self.told = spent
        pace = items * self.steps / max(1e-9, spent - self.started)
        left = max(0.0, self.budget.seconds - spent) / 60
        print(f"{self.name} step {step}  {self.budget.share:.0%}  {text}  {pace:.0f} a second  {left:.0f} min to go", flush=True)


def descend(loss: torch.Tensor, optimiser: torch.optim.Optimizer, rate: float, most: float = 1.0) -> None:
    """Take one step down ``loss``, with gradients of norm ``most`` at most, at ``rate`` times the ``share`` that a group of parameters may have."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_([one for group in optimiser.param_groups for one in group["params"]], most)
    for group in optimiser.param_groups:
        group["lr"] = rate * group.get("share", 1.0)
    optimiser.step()


def learning_rate(share: float, warmup: float = 0.02, hold: float = 0.0, floor: float = 0.02) -> float:
    """Factor on the peak: linear warm-up, level up to ``hold``, then cosine decay to ``floor``.

    Parameters
    ----------
    share : float
        Of the budget that is spent, in [0, 1].
    """
    if share < warmup:
        return max(0.01, share / warmup)
    t = max(0.0, share - max(hold, warmup)) / max(1e-9, 1 - max(hold, warmup))
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(t, 1.0)))

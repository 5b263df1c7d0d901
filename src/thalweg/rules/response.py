"""The response curve: how far a weight moves, against its gradient."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from thalweg.files import write_atomically
from thalweg.rules import plain
from thalweg.rules.rule import Rule

HELD = 100  # steps after which a held gradient is drawn: momentum has settled by then


def steps_taken(rule: Rule, gradients: Any, steps: int = 1, reduction: float = 1.0) -> torch.Tensor:
    """See `Rule.response`."""
    g = torch.as_tensor(gradients, dtype=torch.float64)
    if g.dim() != 1 or steps < 1:
        raise ValueError(f"gradients must be 1-d and steps >= 1, got shape {tuple(g.shape)} and {steps!r}")
    held = {f"_{name}": lambda x: x.new_full((), reduction) for name in ("max_abs", "norm", "mean")}
    quiet = {"_normal": lambda mean, std, like, generator: torch.full_like(like, mean)}
    step = plain.compiled(plain.step_source(rule), "step", {**plain.namespace(), **held})
    initial = plain.compiled(plain.init_source(rule), "initial", {**plain.namespace(), **quiet})
    scalars = rule.scalars(rule.hyperparameters) | {"weight_decay": 0.0}

    w = before = torch.zeros_like(g)
    states = [
        torch.zeros_like(g) + value if name in rule.program.tensor_states else value
        for name, value in zip(rule.states, initial(w, torch.Generator(), **scalars), strict=True)
    ]
    for i in range(steps):
        before = w
        clock = float(rule.first_step + i)
        w, *states = step(w, g, *states, t=clock, **scalars, maximize=False, decay=rule.decay)
    return before - w


def plot(rule: Rule, path: Path, reduction: float = 1.0) -> Path:
    """See `Rule.plot_response`."""
    from matplotlib.figure import Figure

    g = torch.linspace(-3, 3, 601, dtype=torch.float64)
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.axhline(0, color="0.8", linewidth=0.8)
    axes.axvline(0, color="0.8", linewidth=0.8)
    lr = float(rule.scalars(rule.hyperparameters)["lr"])
    axes.plot(g, lr * g, color="0.6", linestyle="--", label=f"gradient descent, lr {lr:g}")
    curves = [steps_taken(rule, g, steps, reduction) for steps in (1, HELD)]
    axes.plot(g, curves[0], color="#0072b2", label="first step")
    axes.plot(g, curves[1], color="#d55e00", label=f"step {HELD}, gradient held")
    title = f"{rule.name}: response"
    axes.set_title(title if rule.program.elementwise else f"{title} (reductions held at {reduction:g})")
    axes.set(xlabel="gradient g", ylabel="step against the gradient")
    span = max(float(curve.max()) for curve in curves)
    if 0 < span < float("inf"):
        axes.set_ylim(-1.2 * span, 1.2 * span)
    axes.legend(frameon=False)
    _save(figure, path)
    return path


def _save(figure: Any, path: Path) -> None:
    suffix = path.suffix.removeprefix(".").lower()
    if suffix not in ("png", "svg", "pdf"):
        raise ValueError(f"path must end in .png, .svg or .pdf, got {str(path)!r}")
    from matplotlib import rc_context

    image = io.BytesIO()
    with rc_context({"svg.hashsalt": "thalweg"}):  # matplotlib names an SVG's parts at random otherwise
        figure.savefig(image, format=suffix, dpi=150, metadata={"Date": None} if suffix == "svg" else None)
    write_atomically(path, image.getvalue())

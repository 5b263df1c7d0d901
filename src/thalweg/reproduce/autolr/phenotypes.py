"""ADES and Sign as they were evolved, recovered from the logs, and how far the trajectories of two rules lie apart.

States of the paper are updated as x = x - f(x, g); dead code is left out, constants stand as the runs have them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from thalweg.rules import Rule, plain

A, B = 0.0892171, 0.999061  # of the best ADES of run 0 by its mean fitness
C1, C2 = 0.0613374, 0.0136636  # of the most frequent Sign of run 3

# y -= a [(y + b)(y + g) + y], w -= -y. As the class that was benchmarked: beta1 = 1 - a, beta2 = b.
ADES = Rule("ades_evolved", f"y = y - {A}*((y + {B})*(y + g) + y)\n w = w + y", state="y")
# The grammar has no sign and its weight function no gradient: y is -g, and g/|g| is built from it by safe divisions.
SIGN = Rule("sign_evolved", f"y = -g\n w = w - {C1}*safe_div({C2}, safe_div(-y, sqrt(y*y)))", state="")


def trajectory(rule: Rule, gradients: Tensor) -> Tensor:
    """The weights, which begin at 0, before each of these gradients and after the last: (steps + 1, n) for gradients
    (steps, n), float64. The rule has its default hyperparameters, and no weight is read by the gradients."""
    w = torch.zeros(gradients.shape[1:], dtype=torch.float64)
    scalars = rule.scalars(rule.hyperparameters)
    states = [
        torch.zeros_like(w) + value if name in rule.program.tensor_states else value
        for name, value in zip(rule.states, plain.initial(rule)(w, torch.Generator(), **scalars), strict=True)
    ]
    walked = [w]
    for clock, g in enumerate(gradients.double(), start=rule.first_step):
        w, *states = plain.step(rule)(w, g, *states, t=float(clock), **scalars, maximize=False, decay=rule.decay)
        walked.append(w)
    return torch.stack(walked)


def apart(ours: Tensor, theirs: Tensor) -> float:
    """The largest distance of two trajectories that begin together, over the way that the second has come by then."""
    distances, ways = ((each).flatten(1).norm(dim=1)[1:] for each in (ours - theirs, theirs - theirs[:1]))
    return float((distances / ways.clamp_min(torch.finfo(torch.float64).tiny)).max())


def streams(steps: int, weights: int, seed: int) -> Tensor:
    """Gradients (steps, weights) of weights whose gradients keep to one scale each, 1 to 1e-4, and to a direction for
    as long as they like: a tenth of them is zero, and a common part makes momentum build up."""
    generator = torch.Generator().manual_seed(seed)
    scales = torch.logspace(0, -4, weights, dtype=torch.float64)
    common = torch.randn(weights, generator=generator, dtype=torch.float64)
    noise = torch.randn(steps, weights, generator=generator, dtype=torch.float64)
    kept = torch.rand(steps, weights, generator=generator, dtype=torch.float64) > 0.1
    return (common + noise) * scales * kept


def coefficients(rule: Rule) -> dict[str, float]:
    """Those of y, y squared, y times g and g in the next y of a rule with the one state y, which has no other terms:
    four steps decide them."""

    def after(y: float, g: float) -> float:
        w, state, slope = (torch.tensor([value], dtype=torch.float64) for value in (0.0, y, g))
        scalars = rule.scalars(rule.hyperparameters)
        return float(plain.step(rule)(w, slope, state, t=1.0, **scalars, maximize=False, decay=rule.decay)[1])

    up, down, slope, both = after(1, 0), after(-1, 0), after(0, 1), after(1, 1)
    return {"y": (up - down) / 2, "y_squared": (up + down) / 2, "y_times_g": both - up - slope, "g": slope}

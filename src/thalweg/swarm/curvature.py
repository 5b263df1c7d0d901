"""How curved a loss is around a swarm's best, from values that the search has computed anyway."""

from __future__ import annotations

import torch
from torch import Tensor

from thalweg.swarm.search import Evaluate, Found


def fitted_curvature(best: Tensor, loss: Tensor, found: Found) -> Tensor:
    """The h of `loss + h/2 |x - best|^2` that fits the losses where the particles began, by least squares:
    (problems, 1). It is never negative, as nothing is below the best; what is not finite does not count."""
    squared = (found.start - best).square().sum(-1)
    above = found.start_loss - loss
    counts = torch.isfinite(above)
    squared, above = torch.where(counts, squared, 0.0), torch.where(counts, above, 0.0)
    fourth = squared.square().sum(0)
    return torch.where(fourth > 0, 2 * (squared * above).sum(0) / fourth, 0.0).unsqueeze(-1)


def at_vertex(
    evaluate: Evaluate, best: Tensor, found: Found, low: Tensor, high: Tensor, near: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The best, or the vertex of the parabola through it that fits where the particles began, if the loss there is as
    low: for a quadratic that is its very minimum. A best that is `near` itself only gives way to a lower loss.

    Problems of one dimension; returns (problems, 1) and (problems,).
    """
    d = (found.start - best).squeeze(-1).double()
    above = (found.start_loss - found.loss).double()
    d, above = (torch.where(torch.isfinite(above), x, 0.0) for x in (d, above))
    d2, d3, d4 = d.square().sum(0), d.pow(3).sum(0), d.pow(4).sum(0)
    first, second = (d * above).sum(0), (d.square() * above).sum(0)
    # Least squares of b d + h d^2 / 2: its normal equations, by Cramer's rule. The vertex is at -b / h.
    b, h = first * d4 - second * d3, 2 * (d2 * second - d3 * first)
    step = torch.where(h > 0, -b / h, 0.0).to(best.dtype).unsqueeze(-1)
    vertex = torch.clamp(best + step, low, high)
    there = evaluate(vertex.unsqueeze(0))[0]
    lower = there <= found.loss
    if near is not None:
        lower &= (there < found.loss) | (best != near).squeeze(-1)
    return torch.where(lower.unsqueeze(-1), vertex, best), torch.where(lower, there, found.loss)

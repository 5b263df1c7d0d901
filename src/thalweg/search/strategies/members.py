"""What the members of a population remember: the best point that each has found."""

from __future__ import annotations

import torch
from torch import Tensor


def remember(own: Tensor, own_f: Tensor, x: Tensor, fitness: Tensor, *, ties: bool = False) -> None:
    """Puts points (runs, P, D) and their fitness (runs, P) in the place of what each member has, in place, where they
    are better; with `ties` also where they are as good, so that a population can cross a plateau."""
    better = fitness <= own_f if ties else fitness < own_f
    # A lerp by 0 or 1 is exact, and has no branches as `where` has.
    own.lerp_(x, better.to(own.dtype).unsqueeze(-1))
    torch.where(better, fitness, own_f, out=own_f)


def rows(x: Tensor, places: Tensor) -> Tensor:
    """Those rows of x (runs, rows, D) that `places`, int64 (runs, n), names: (runs, n, D)."""
    runs, count, dim = x.shape
    if runs > 1:
        places = places + count * torch.arange(runs, device=x.device).unsqueeze(1)
    return x.reshape(runs * count, dim).index_select(0, places.flatten()).reshape(*places.shape, dim)


def take_in(own: Tensor, own_f: Tensor, x: Tensor, fitness: Tensor, runs: Tensor) -> None:
    """Puts one point a run, (runs, D) of fitness (runs,), in the place of the best member, in place, where it is better
    and the run is marked."""
    least, at = own_f.min(dim=1, keepdim=True)
    better = runs.unsqueeze(1) & (fitness.unsqueeze(1) < least)
    own_f.scatter_(1, at, torch.where(better, fitness.unsqueeze(1), least))
    places = at.unsqueeze(2).expand(-1, 1, own.shape[2])
    own.scatter_(1, places, torch.where(better.unsqueeze(2), x.unsqueeze(1), own.gather(1, places)))

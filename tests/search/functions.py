"""Functions whose optimum is known, shifted and turned for each run by itself, and how long a strategy takes to it."""

import math

import torch

from thalweg.search import Strategy

LOW, HIGH = -5.0, 5.0


class Function:
    """A function of points (runs, P, D) that is 0 at `optimum` (runs, 1, D) and positive elsewhere.

    The optimum is uniform in [-4, 4]; it is never in the middle of the box, where much that is wrong looks right.
    """

    def __init__(self, name, runs=5, dim=10, seed=1, shift=0.0, optimum=None):
        generator = torch.Generator().manual_seed(seed)
        self.name, self.runs, self.dim = name, runs, dim
        drawn = 8 * torch.rand(runs, 1, dim, generator=generator, dtype=torch.float64) - 4
        self.optimum = (drawn if optimum is None else optimum.expand(runs, 1, dim)) + shift
        gaussian = torch.randn(runs, dim, dim, generator=generator, dtype=torch.float64)
        self.rotation = torch.linalg.qr(gaussian).Q

    def __call__(self, x):
        """(runs, P, D) or, of one run, (P, D)."""
        z = x.reshape(self.runs, -1, self.dim) - self.optimum
        values = FUNCTIONS[self.name](self, z)
        return values.reshape(x.shape[:-1])


def _sphere(_, z):
    return z.square().sum(-1)


def _ellipsoid(self, z):
    """Condition 1e6, rotated."""
    powers = torch.linspace(0, 1, self.dim, dtype=torch.float64) if self.dim > 1 else torch.zeros(1)
    return ((z @ self.rotation).square() * 1e6**powers).sum(-1)


def _separable_ellipsoid(self, z):
    return (z.square() * 1e6 ** torch.linspace(0, 1, self.dim, dtype=torch.float64)).sum(-1)


def _rosenbrock(self, z):
    """As BBOB scales f8."""
    z = max(1.0, math.sqrt(self.dim) / 8) * z + 1
    return (100 * (z[..., :-1].square() - z[..., 1:]).square() + (z[..., :-1] - 1).square()).sum(-1)


def _rastrigin(_, z):
    return (z.square() - 10 * torch.cos(2 * math.pi * z) + 10).sum(-1)


def _ackley(_, z):
    mean = z.square().mean(-1).sqrt()
    return 20 + math.e - 20 * torch.exp(-0.2 * mean) - torch.exp(torch.cos(2 * math.pi * z).mean(-1))


FUNCTIONS = {
    "sphere": _sphere,
    "ellipsoid": _ellipsoid,
    "separable ellipsoid": _separable_ellipsoid,
    "rosenbrock": _rosenbrock,
    "rastrigin": _rastrigin,
    "ackley": _ackley,
}


def evaluations_to(target, function, strategy, most):
    """The evaluations of each run up to and with the first of at most `target`, inf where there is none in `most`; and
    the best values in the end. A run that is there rests."""
    hit = torch.full((function.runs,), math.inf)
    while bool((hit.isinf() & ~strategy.parked).any()) and int(strategy.evals.max()) < most:
        x = strategy.ask()
        before = strategy.evals.reshape(-1)
        values = function(x)
        strategy.tell(values)
        below = values.reshape(function.runs, -1) <= target
        at = before + below.to(torch.int64).argmax(1) + 1
        hit = torch.where(below.any(1) & hit.isinf() & ~strategy.parked, at.to(hit), hit)
        strategy.park(hit.isfinite())
    return hit, strategy.best.f.reshape(-1)


def strategy_for(function, name, budget, seed=0, **hyperparameters):
    """A strategy on the box, of as many runs as the function has."""
    generator = torch.Generator().manual_seed(seed)
    return Strategy(
        name, (LOW, HIGH), dim=function.dim, runs=function.runs, budget=budget, generator=generator, **hyperparameters
    )

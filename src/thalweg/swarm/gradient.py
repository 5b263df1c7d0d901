"""`SwarmGradient`: the gradient of a loss with respect to a network's outputs, made by a swarm."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from thalweg.swarm.cache import Cache
from thalweg.swarm.curvature import at_vertex, fitted_curvature
from thalweg.swarm.draws import Factors
from thalweg.swarm.minimize import whole
from thalweg.swarm.objective import LossFunction, domain_of
from thalweg.swarm.outputs import (
    OutputGradient,
    Piece,
    broadcasting,
    check_positive,
    evaluated,
    of_members,
    pieces,
    working,
)
from thalweg.swarm.particles import Particles
from thalweg.swarm.reference import around_targets
from thalweg.swarm.search import last_factor, search
from thalweg.swarm.settings import (
    Bounds,
    bounds_of,
    check_bounds,
    check_memory,
    check_reference,
    eta_of,
    expected_of,
    particles_of,
    sides_of,
)
from thalweg.swarm.stability import warn_if_unstable

INITS = ("output", "bounds", "target")
COEFFS = ("expected", "paper", "fitted")
# Random factors that are held at once, 2 bytes each: enough for few calls, few enough for a processor's cache. It is
# fixed, so that no result depends on how much memory there is.
MOST = 1 << 21


class SwarmGradient(OutputGradient):
    """`kappa (y - g)`, with g the best outputs that a swarm finds for the loss (AdaSwarm eq. 24, with the sign that
    descends): the gradient of `kappa / 2 |y - g|^2`, whatever the loss is.

    Where the swarm finds the label, as with BCE, MSE and MAE, this is the squared distance to the label, and
    `DistanceToLabel` is the same without a swarm.

    Arguments:
        loss_fn, level, reduction, generator: as in `OutputGradient`; of the loss nothing but values is used.
        init: where particles begin. "output": one at the network's output, the others within `span` of it, where all
            stay; of equal losses the one nearer to the output is better, so where the loss is flat the gradient is 0.
            "bounds": anywhere in them; the answer then depends on the target alone. "target": around the labels, as
            the paper's code does, for reproduction alone (`reference=True`).
        bounds: (low, high), numbers or tensors that broadcast to one sample's outputs; candidates stay between them.
            None is where the loss is defined, (0, 1) for BCE, else everywhere.
        span: for "output"; a number, or one for each member. It makes losses safe that have no finite minimiser, such
            as cross entropy on logits.
        particles, iterations: the loss of a batch is evaluated `particles * iterations` times, with "fitted" at the
            element level once more.
        variant, constants: of `thalweg.swarm.particles`: a name and its constants (`variant="pso", inertia=0.7`), or
            one made. By default the paper's EMPSO, c1=0.8, c2=0.9, beta=0.9.
        coeff: what kappa is. "expected": (c1 + c2) / 2 / eta. "paper": `c1 r1 + c2 r2` of the last iteration, averaged
            over the particles, / eta, which is random (13 % with 10 particles). "fitted": the curvature of the loss
            around g, by least squares over where the particles began: exact for a quadratic, where the whole gradient
            is autograd's. Only that depends on the loss; the others are constants, 8.5 by default.
        eta: by default 1 - beta, the inertia of PSO, and 0.1 where that is 0 or there is neither.
        cache: keeps what the swarm found for each target, with init="bounds": True on a CPU, or the targets to expect,
            such as (0.0, 1.0), on any device; others then get NaN. Classes are known by the number of outputs.
        warm_start: the number of examples, to begin at what was found for each before: call with `rows`, (n,) int64.
        reference: allows what is only there for reproduction.

    A swarm whose constants let its variance grow without bound warns. NaN is never the better loss; where no candidate
    has a finite one the gradient is 0. Raises ValueError as `OutputGradient` does, TypeError on a constant that the
    variant does not have; what the loss raises, with a note.

    >>> loss = SwarmGradient(lambda y, t: (y - t).abs().round(decimals=1))         # no derivative anywhere
    >>> y = torch.tensor([[0.9, 0.2]], requires_grad=True)
    >>> loss(y, torch.tensor([[0.0, 0.0]])).backward()
    >>> (y.grad > 0).tolist()
    [[True, True]]
    """

    def __init__(
        self,
        loss_fn: LossFunction,
        *,
        level: str | None = None,
        init: str = "output",
        bounds: Bounds | None = None,
        span: float | Tensor = 1.0,
        particles: int = 10,
        iterations: int = 20,
        variant: str | Particles = "empso",
        coeff: str = "expected",
        eta: float | None = None,
        reduction: str = "mean",
        cache: bool | Sequence[float] = False,
        warm_start: int = 0,
        reference: bool = False,
        generator: torch.Generator | None = None,
        **constants: Any,
    ) -> None:
        super().__init__(loss_fn, level=level, reduction=reduction, generator=generator)
        for name, value, allowed in (("init", init, INITS), ("coeff", coeff, COEFFS)):
            if value not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
        particles, iterations = whole("particles", particles), whole("iterations", iterations)
        warm_start = whole("warm_start", warm_start, least=0)
        check_positive("span", span)
        self.particles = particles_of(variant, constants)
        self.bounds = bounds_of(bounds if bounds is not None else domain_of(loss_fn))
        expected = expected_of(cache)
        check_reference(init, self.particles, reference)
        check_bounds(init, self.bounds)
        check_memory(expected, warm_start, init, self.level, self.bounds)
        self.init, self.span, self.coeff = init, span, coeff
        self.count, self.iterations = particles, iterations
        self.eta = eta_of(self.particles) if eta is None else eta
        if not 0 < self.eta < math.inf:
            raise ValueError(f"eta must be > 0 and finite, got {self.eta}")
        self.evaluations = particles * iterations + (coeff == "fitted" and self.level == "element")
        self.cache = Cache(self.level, None if expected is True else expected) if expected else None
        self.warm_start = warm_start
        self._warm: Tensor | None = None
        self._rows: Tensor | None = None
        self._curvature: Tensor | None = None
        warn_if_unstable(self.particles)

    def __call__(self, outputs: Tensor, targets: Tensor, rows: Tensor | None = None) -> Tensor:
        """The loss of outputs (n, ...), one number; `rows` says which examples they are of, for `warm_start`."""
        if (rows is None) != (self.warm_start == 0):
            raise ValueError(f"rows must be given exactly with warm_start, got warm_start={self.warm_start}")
        self._rows = rows
        return super().__call__(outputs, targets)

    def gradients(self, outputs: Tensor, targets: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        kappa, best = self.pull(outputs, targets, generators)
        return kappa * (working(outputs) - best) / self.objective.terms(outputs, self.reduction)

    @torch.compiler.disable  # a search is no part of the network's program
    def pull(
        self, outputs: Tensor, targets: Tensor, generators: Sequence[torch.Generator]
    ) -> tuple[Tensor | float, Tensor]:
        """kappa and g for outputs (members, n, ...): g in their shape, kappa such that it broadcasts with it."""
        return evaluated(outputs.device, lambda: self._pull(working(outputs), targets, generators))

    def curvature(self) -> Tensor:
        """The curvature of the loss around g at the last call, as it broadcasts with the outputs: a diagonal Hessian
        at the element level, one number a sample at the others. Raises ValueError unless coeff is "fitted"."""
        if self._curvature is None:
            reason = "not been called yet" if self.coeff == "fitted" else f"coeff={self.coeff!r}"
            raise ValueError(f"curvature() is there after a call with coeff='fitted', but this has {reason}")
        return self._curvature

    def state_dict(self) -> dict[str, Any]:
        """What another run needs to go on: the generator's state, the cache, what was found for each example."""
        generator = None if self.generator is None else self.generator.get_state()
        device = None if self.generator is None else str(self.generator.device)
        cache = None if self.cache is None else self.cache.state_dict()
        return {"generator": generator, "device": device, "cache": cache, "warm": self._warm}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on where `state_dict` was taken."""
        if state["generator"] is not None:
            self.generator = self.generator or torch.Generator(state["device"])
            self.generator.set_state(state["generator"].cpu())
        if self.cache is not None and state["cache"] is not None:
            self.cache.load_state_dict(state["cache"])
        self._warm = None if state["warm"] is None else state["warm"].clone()

    def _model(self, outputs: Tensor, targets: Tensor, generator: torch.Generator) -> Tensor:
        kappa, best = self.pull(outputs.detach().unsqueeze(0), targets.unsqueeze(0), [generator])
        if self.coeff == "fitted":
            assert isinstance(kappa, Tensor)
            self._curvature = kappa[0]
        scale = kappa / (2 * self.objective.terms(outputs.unsqueeze(0), self.reduction))
        away = working(outputs) - best[0]
        squared = away * away  # of torch's squares the one that is differentiated the fastest
        return (scale * squared).sum() if isinstance(scale, Tensor) else squared.sum() * scale

    def _pull(
        self, outputs: Tensor, targets: Tensor, generators: Sequence[torch.Generator]
    ) -> tuple[Tensor | float, Tensor]:
        if self.cache is not None:
            find, fitted = partial(self._searched, generators), self.coeff == "fitted"
            best, curvature = self.cache.answers(outputs, targets, find, curved=fitted)
            if fitted:
                return curvature, best
            return self._kappa(lambda: self._fresh_factor(outputs, generators)), best
        best, curvature, factor = self._searched(generators, outputs, targets)
        if self._warm is not None:
            self._warm[self._rows] = best[0]
        if self.coeff == "fitted":
            return curvature, best
        return self._kappa(lambda: factor), best

    def _searched(
        self, generators: Sequence[torch.Generator], outputs: Tensor, targets: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The best outputs, the curvature around them, and the last factor, each as it broadcasts with the outputs."""
        _, dimensions = self.objective.problems(outputs)
        y = outputs.reshape(-1, dimensions)
        low, high = (side.reshape(-1, dimensions) for side in self._box(outputs))
        warm = self._warm_rows(outputs).expand_as(outputs).reshape(-1, dimensions)
        parts = []
        numbers = 2 * self.count * self.iterations
        for piece in pieces(self.objective, outputs, targets, numbers, MOST):
            own = (side[piece.problems] for side in (y, low, high, warm))
            parts.append(self._search(piece, [generators[i] for i in piece.members], *own))
        best, curvature, factor = (torch.cat(column) for column in zip(*parts, strict=True))
        curvature, factor = (broadcasting(column, outputs, self.level) for column in (curvature, factor))
        return best.reshape(outputs.shape), curvature, factor

    def _search(
        self, piece: Piece, generators: Sequence[torch.Generator], y: Tensor, low: Tensor, high: Tensor, warm: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The same for problems (problems, dimensions)."""
        shape = (self.count, *y.shape)
        drawn = shape if self.particles.per_dimension else (*shape[:2], 1)
        factors = Factors(generators, self.iterations, drawn, y.dtype)
        draws = factors.more(shape)
        if self.init == "target":
            start = around_targets(piece.outputs, piece.targets, draws, (low, high))
        else:
            start = low + (high - low) * draws
        if self.init == "output":
            start[0] = torch.clamp(y, low, high)
        if self._warm is not None:
            start[-1] = torch.where(torch.isnan(warm), start[-1], torch.clamp(warm, low, high))
        near = y.contiguous() if self.init == "output" else None
        try:
            found = search(piece.evaluate, start, low, high, self.particles, self.iterations, factors, near)
        except Exception as error:
            error.add_note(
                f"loss_fn raised this for many candidates as one batch, between {float(low.min()):g} and "
                f"{float(high.max()):g}; `bounds` keeps them where it is defined"
            )
            raise
        best = torch.where(torch.isinf(found.loss).unsqueeze(-1), y, found.best)
        if self.coeff != "fitted":
            return best, best.new_zeros(len(best), 1), found.factor
        if self.level == "element":
            best, loss = at_vertex(piece.evaluate, best, found, low, high, near)
        else:
            loss = found.loss
        return best, fitted_curvature(best, loss, found), found.factor

    def _box(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Between what candidates lie, in the outputs' shape."""
        try:
            sides = [side.to(outputs).expand_as(outputs) for side in sides_of(self.bounds)]
        except RuntimeError as error:
            raise ValueError(
                f"bounds must be numbers, or broadcast to one sample's outputs {tuple(outputs.shape[2:])}, got "
                f"{self.bounds!r}"
            ) from error
        if self.init != "output":
            return sides[0], sides[1]
        span = of_members("span", self.span, outputs)
        inside = torch.clamp(outputs, *sides)  # an output outside of the bounds is not evaluated
        return torch.maximum(sides[0], inside - span), torch.minimum(sides[1], inside + span)

    def _kappa(self, factor: Callable[[], Tensor]) -> Tensor | float:
        if self.coeff == "expected":
            return (self.particles.c1 + self.particles.c2) / 2 / self.eta
        return factor() / self.eta

    def _fresh_factor(self, outputs: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """What the last iteration's factor would have been, had there been one."""
        each, dimensions = self.objective.problems(outputs)
        problems = each * outputs.shape[:2].numel()
        shape = (self.count, problems, dimensions if self.particles.per_dimension else 1)
        factor = last_factor(self.particles, Factors(generators, 1, shape, outputs.dtype))
        return broadcasting(factor, outputs, self.level)

    def _warm_rows(self, outputs: Tensor) -> Tensor:
        """What was found for these examples before; NaN where nothing was."""
        if not self.warm_start:
            return outputs.new_full((), torch.nan)
        if self._warm is None:
            self._warm = outputs.new_full((self.warm_start, *outputs.shape[2:]), torch.nan)
        rows, count = self._rows, outputs.shape[1]
        if not isinstance(rows, Tensor) or rows.dtype != torch.int64 or rows.shape != (count,) or len(outputs) > 1:
            raise ValueError(f"rows must be int64 of shape ({count},), for one network, got {rows!r:.80}")
        if rows.device.type == "cpu" and not bool(((rows >= 0) & (rows < self.warm_start)).all()):
            raise ValueError(f"rows must be >= 0 and < warm_start={self.warm_start}, got {rows!r:.80}")
        return self._warm[rows].unsqueeze(0)

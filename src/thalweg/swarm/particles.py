"""How particles move: PSO, MPSO, EMPSO in both of its published forms, and REMPSO with a rotation that rotates.

Positions are (particles, problems, dimensions): a problem is searched by particles of its own, and no problem knows of
another. Velocities and momenta have the same shape and begin at zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Memory = list[Tensor]


@dataclass(frozen=True)
class Draw:
    """What is random in one iteration: factors in (0, 1) for the two pulls, and for REMPSO the pairs of axes that are
    rotated, int64 (2, particles, problems, pairs)."""

    r1: Tensor
    r2: Tensor
    axes: Tensor | None = None


@dataclass(frozen=True)
class Particles:
    """What all variants share: the pull `c1 r1 (p - x) + c2 r2 (g - x)` to a particle's own best and the swarm's.

    `per_dimension`: each dimension has factors of its own. With one factor a particle, particles that begin at rest
    never leave the affine hull of where they began. Variants say what a velocity makes of the pull.

    Raises ValueError, naming the argument, where it is out of its range.
    """

    c1: float = 0.8
    c2: float = 0.9
    per_dimension: bool = True

    def __post_init__(self) -> None:
        for name in ("c1", "c2"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be >= 0 and finite, got {getattr(self, name)}")

    def memory(self, x: Tensor) -> Memory:
        """What is carried from iteration to iteration beside positions, at rest."""
        return [torch.zeros_like(x)]

    def draw(self, uniform: Callable[[tuple[int, ...]], Tensor], shape: tuple[int, ...]) -> Draw:
        """The random factors of an iteration; `uniform(shape)` draws from (0, 1)."""
        r1, r2 = uniform((2, *(shape if self.per_dimension else (*shape[:2], 1))))
        return Draw(r1, r2)

    def pull(self, x: Tensor, own: Tensor, best: Tensor, draw: Draw) -> Tensor:
        """The force on each particle; `own` are (particles, problems, dimensions), `best` (problems, dimensions)."""
        return torch.addcmul(self.c1 * draw.r1 * (own - x), draw.r2, best - x, value=self.c2)

    def move(self, x: Tensor, memory: Memory, pull: Tensor) -> None:
        """Moves all particles, and what they remember, in place."""
        raise NotImplementedError

    @property
    def one_buffer(self) -> tuple[float, float, float] | None:
        """(a, b, c) where the move is `v = a m + pull; m = b m + c pull; x = x + v` with one buffer m; else None."""
        return None


@dataclass(frozen=True)
class PSO(Particles):
    """Kennedy and Eberhart's, with an inertia (AdaSwarm eq. 1 and 2): `v = inertia v + pull`."""

    inertia: float = 0.7

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share("inertia", self.inertia, most=1.0)

    def move(self, x: Tensor, memory: Memory, pull: Tensor) -> None:
        (v,) = memory
        v.mul_(self.inertia).add_(pull)
        x.add_(v)

    @property
    def one_buffer(self) -> tuple[float, float, float]:
        return self.inertia, self.inertia, 1.0


@dataclass(frozen=True)
class MPSO(Particles):
    """With momentum (Xiang, Wang and Liao 2007; AdaSwarm eq. 3): `v = (1 - lam)(v + pull) + lam v_before`.

    The papers give no value of lam; with 0.1 or less, and the other constants as here, its variance grows without
    bound.
    """

    lam: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.lam < 1:
            raise ValueError(f"lam must be in [0, 1), got {self.lam}")

    def memory(self, x: Tensor) -> Memory:
        return [torch.zeros_like(x), torch.zeros_like(x)]

    def move(self, x: Tensor, memory: Memory, pull: Tensor) -> None:
        v, before = memory
        now = (1 - self.lam) * (v + pull) + self.lam * before
        before.copy_(v)
        v.copy_(now)
        x.add_(now)


@dataclass(frozen=True)
class EMPSO(Particles):
    """With exponentially weighted momentum, by AdaSwarm's equations 4 and 5: `M = beta M + (1 - beta) v; v = M + pull`.

    One buffer is enough: with N the M of the next iteration, `v = N + pull; N = N + (1 - beta) pull`. So the average of
    velocities forgets nothing, and for a constant factor the whole is PSO with inertia 1 - beta c r.
    """

    beta: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share("beta", self.beta, most=1.0)

    def move(self, x: Tensor, memory: Memory, pull: Tensor) -> None:
        (n,) = memory
        x.add_(n).add_(pull)
        n.add_(pull, alpha=1 - self.beta)

    @property
    def one_buffer(self) -> tuple[float, float, float] | None:
        return 1.0, 1.0, 1 - self.beta


@dataclass(frozen=True)
class EMPSOAlgorithm1(Particles):
    """EMPSO as AdaSwarm's Algorithm 1 prints it, which differs from the second iteration on: the momentum takes in the
    new velocity, so that each velocity enters twice."""

    beta: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share("beta", self.beta, most=1.0)

    def memory(self, x: Tensor) -> Memory:
        return [torch.zeros_like(x), torch.zeros_like(x)]

    def move(self, x: Tensor, memory: Memory, pull: Tensor) -> None:
        v, momentum = memory
        v.mul_(1 - self.beta).add_(momentum, alpha=self.beta).add_(pull)
        x.add_(v)
        momentum.mul_(self.beta).add_(v, alpha=1 - self.beta)


@dataclass(frozen=True)
class REMPSO(EMPSO):
    """EMPSO whose factors act on rotated axes (AdaSwarm, supplement 5): the pull is `A^T diag(c r) A d`.

    In every iteration each particle has `2 floor(share D)` of its D axes drawn and put in order, and each two of them
    rotated by theta. That is a rotation of planes, so it takes O(D) a particle and no matrix. With one factor a
    particle (`per_dimension=False`) it changes nothing, as A^T (c r I) A = c r I.
    """

    theta: float = math.pi / 5
    share: float = 0.4

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share("share", self.share, most=0.5)

    def draw(self, uniform: Callable[[tuple[int, ...]], Tensor], shape: tuple[int, ...]) -> Draw:
        plain = super().draw(uniform, shape)
        pairs = int(self.share * shape[-1])
        chosen = uniform(shape).argsort(dim=-1)[..., : 2 * pairs].sort(dim=-1).values
        return Draw(plain.r1, plain.r2, torch.stack([chosen[..., 0::2], chosen[..., 1::2]]))

    def pull(self, x: Tensor, own: Tensor, best: Tensor, draw: Draw) -> Tensor:
        assert draw.axes is not None
        parts = []
        for factor, difference in ((self.c1 * draw.r1, own - x), (self.c2 * draw.r2, best - x)):
            turned = rotated(difference, draw.axes, self.theta)
            parts.append(rotated(factor * turned, draw.axes, -self.theta))
        return parts[0] + parts[1]

    @property
    def one_buffer(self) -> None:
        return None


def rotated(x: Tensor, axes: Tensor, theta: float) -> Tensor:
    """Vectors (..., D) with each pair of their axes, (2, ..., pairs) and no axis twice, rotated by theta."""
    a, b = x.gather(-1, axes[0]), x.gather(-1, axes[1])
    cos, sin = math.cos(theta), math.sin(theta)
    return x.scatter(-1, axes[0], cos * a - sin * b).scatter(-1, axes[1], sin * a + cos * b)


VARIANTS: dict[str, type[Particles]] = {
    "pso": PSO,
    "mpso": MPSO,
    "empso": EMPSO,
    "empso_algorithm_1": EMPSOAlgorithm1,
    "rempso": REMPSO,
}
"""The variants by name; each takes its constants as keyword arguments."""


def _check_share(name: str, value: float, most: float) -> None:
    if not 0 <= value <= most:
        raise ValueError(f"{name} must be in [0, {most:g}], got {value}")

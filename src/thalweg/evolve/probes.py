"""What rules do, whatever they look like: hashes of their steps on short streams of gradients, for many rules at once.

Two rules are taken for one only if they agree on two independent streams: one made up, and best one recorded in the
training of a network.
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from thalweg.evolve.machine import Machine
from thalweg.race.seeds import Seed
from thalweg.race.seeds import Stream as Purpose
from thalweg.rules import Rule
from thalweg.tasks import Task

STEPS, LANES = 8, 8
DIGITS = 5
RECORDED = 2_300_000  # the repetition whose network, data and draws make the probe: none is trained on them
AT_ONCE = 1024  # rules: more would only take more memory

# Of what is no number, where a number's digits would be.
_NAN, _INF, _NEGATIVE_INF = -1, -2, -3


@dataclass(frozen=True, eq=False)
class Stream:
    """The weights (lanes,) that a probe begins with and the gradients (steps, lanes) that it gives, float64."""

    weights: torch.Tensor
    gradients: torch.Tensor

    def __post_init__(self) -> None:
        if self.gradients.dim() != 2 or self.weights.shape != self.gradients.shape[1:] or not self.gradients.numel():
            shapes = f"weights {tuple(self.weights.shape)} and gradients {tuple(self.gradients.shape)}"
            raise ValueError(f"a stream needs weights (lanes,) and gradients (steps, lanes), not empty, got {shapes}")
        for name in ("weights", "gradients"):
            object.__setattr__(self, name, getattr(self, name).detach().double())

    def disturbed(self) -> Stream:
        """The same weights under other gradients: of the other sign, smaller, in another order."""
        return Stream(self.weights, -0.7 * self.gradients.flip(0).roll(1, dims=1))


def synthetic_stream(generator: torch.Generator) -> Stream:
    """Gradients of scales 1 to 1e-4, of both signs and zero; those of every other weight shrink tenfold a step, which
    tells apart rules that forget at different rates."""
    scales = torch.logspace(0, -4, LANES, dtype=torch.float64)
    shrinking = torch.tensor([1.0, 0.1] * (LANES // 2), dtype=torch.float64) ** torch.arange(STEPS).unsqueeze(1)
    weights = torch.randn(LANES, generator=generator, dtype=torch.float64)
    gradients = torch.randn(STEPS, LANES, generator=generator, dtype=torch.float64) * scales * shrinking
    gradients[torch.arange(STEPS), torch.arange(STEPS) % LANES] = 0.0
    return Stream(weights, gradients)


def recorded_stream(
    network: torch.nn.Module,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    batches: Iterable[tuple[torch.Tensor, torch.Tensor]],
    generator: torch.Generator,
    *,
    lr: float = 0.1,
    lanes: int = 2 * LANES,
) -> Stream:
    """The gradients of some weights of a network as it is trained by gradient descent, a step a batch.

    `batches`: inputs and targets; `loss(outputs, targets)` is a scalar. The weights are drawn from those whose first
    gradient is not 0. The network itself stays as it is, and answers as in evaluation: dropout would draw from
    elsewhere. Raises ValueError where fewer than `lanes` weights have a gradient.
    """
    twin = copy.deepcopy(network).eval()
    parameters = [p for p in twin.parameters() if p.requires_grad]
    weights = torch.cat([p.detach().flatten() for p in parameters])
    rows = []
    for inputs, targets in batches:
        value = loss(twin(inputs), targets)
        gradients = torch.autograd.grad(value, parameters, allow_unused=True, materialize_grads=True)
        rows.append(torch.cat([g.flatten() for g in gradients]))
        with torch.no_grad():
            for p, g in zip(parameters, gradients, strict=True):
                p.sub_(lr * g)
    if not rows:
        raise ValueError("batches must have at least one batch, got none")
    order = torch.randperm(len(weights), generator=generator)
    drawn = order[rows[0][order] != 0][:lanes]
    if len(drawn) < lanes:
        raise ValueError(f"lanes must be at most the weights with a gradient, {len(drawn)}, got {lanes}")
    return Stream(weights[drawn], torch.stack(rows)[:, drawn])


def probe_of(task: Task, seed: int) -> Probe:
    """What tells behaviours apart: a stream of gradients that is made up, and one recorded on the task's network. Of a
    network with fewer weights than a stream has, a second one is made up."""
    own = Seed(seed, task.name, RECORDED)
    workload = task.workload(own.generator(Purpose.SPLIT))
    order, size = own.generator(Purpose.ORDER), min(task.batch_size, len(workload.train))
    rows = [torch.randint(len(workload.train), (size,), generator=order) for _ in range(STEPS)]
    batches = [(batch.inputs, batch.targets) for batch in (workload.train[each] for each in rows)]
    drawn = own.generator(Purpose.OPTIMIZER)
    first = synthetic_stream(drawn)
    try:
        network = workload.network(own.generator(Purpose.INIT))
        return Probe(first, recorded_stream(network, task.loss, batches, drawn))
    except ValueError:
        return Probe(first, synthetic_stream(drawn))


def behaviours(rules: Sequence[Rule], stream: Stream) -> list[str]:
    """A hash of each rule's steps on a stream, to five digits, as 16 hex digits.

    Of a step as small as the rounding of its weight fewer digits count. A rule's hash does not depend on the others.
    """
    hashes: list[str] = []
    for begin in range(0, len(rules), AT_ONCE):
        digits = _steps(rules[begin : begin + AT_ONCE], stream)
        hashes += [hashlib.blake2b(of_rule.tobytes(), digest_size=8).hexdigest() for of_rule in digits]
    return hashes


@dataclass(frozen=True)
class Probe:
    """Two streams that have nothing to do with one another."""

    first: Stream
    second: Stream

    def keys(self, rules: Sequence[Rule]) -> list[tuple[str, str]]:
        """The hashes of each rule on both streams. Equal keys: to all appearances the rules are one."""
        return list(zip(behaviours(rules, self.first), behaviours(rules, self.second), strict=True))

    def blind(self, rules: Sequence[Rule]) -> np.ndarray:
        """Which rules step as they do whatever the gradient is, or make no step that is a number: bool (rules,)."""
        same = np.ones(len(rules), dtype=np.bool_)
        for stream in (self.first, self.second):
            pairs = zip(behaviours(rules, stream), behaviours(rules, stream.disturbed()), strict=True)
            same &= np.array([one == other for one, other in pairs], dtype=np.bool_)
        return same


def _steps(rules: Sequence[Rule], stream: Stream) -> np.ndarray:
    """The digits of all steps: int64 (rules, steps, lanes)."""
    params = {"w": stream.weights.repeat(len(rules), 1)}
    machine = Machine(rules, params)
    w = params["w"].numpy()
    digits = np.empty((len(rules), *stream.gradients.shape), dtype=np.int64)
    for i, gradient in enumerate(stream.gradients):
        before = w.copy()
        machine.step({"w": gradient.repeat(len(rules), 1)})
        with np.errstate(all="ignore"):
            digits[:, i] = _digits(w - before, before)
    return digits


def _digits(steps: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The first digits of each step and where its point stands, as one integer.

    A weight of about 2**e is known to 2**(e - 52); what the step is rounded to lies well above that.
    """
    finest = np.maximum(np.ceil(np.frexp(weights)[1] * math.log10(2) - 11), -300)
    steps = np.round(steps / 10**finest) * 10**finest
    exponents = np.where(steps != 0, np.floor(np.log10(np.abs(steps))), 0.0)
    mantissas = np.round(steps / 10 ** (exponents - DIGITS + 1))
    over = np.abs(mantissas) >= 10**DIGITS  # 9.99996 is 10.000
    mantissas, exponents = np.where(over, np.round(mantissas / 10), mantissas), exponents + over
    codes = np.where(steps != 0, mantissas * 1024 + exponents + 512, 0.0)
    codes = np.where(np.isfinite(steps), codes, _NEGATIVE_INF)
    return np.where(np.isnan(steps), _NAN, np.where(steps == np.inf, _INF, codes)).astype(np.int64)

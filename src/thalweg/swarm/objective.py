"""A loss as a function of candidate outputs, at the level at which it can be told apart: element, sample or batch."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from thalweg.cohort import Unstackable
from thalweg.cohort.tracing import Program, traced
from thalweg.swarm.search import Evaluate

LEVELS = ("element", "sample", "joint")

LossFunction = Callable[..., Any]

# Losses of torch by the level of what they are without reduction. A network's loss is their mean.
_ELEMENT: dict[Any, type[nn.Module]] = {
    F.mse_loss: nn.MSELoss, F.l1_loss: nn.L1Loss, F.smooth_l1_loss: nn.SmoothL1Loss, F.huber_loss: nn.HuberLoss,
    F.binary_cross_entropy: nn.BCELoss, F.binary_cross_entropy_with_logits: nn.BCEWithLogitsLoss,
}  # fmt: skip
_SAMPLE: dict[Any, type[nn.Module]] = {F.cross_entropy: nn.CrossEntropyLoss, F.nll_loss: nn.NLLLoss}
_WEIGHTS = ("weight", "pos_weight")  # with these the mean is another
_DOMAINS = {F.binary_cross_entropy: (0.0, 1.0), nn.BCELoss: (0.0, 1.0)}
SMALLEST = 1.2e-38  # of normal float32: logarithms of what is smaller are slow


def unreduced(loss: LossFunction) -> tuple[LossFunction, str]:
    """A loss that averages over a batch as one that does not, and the level at which it then is.

    Losses of torch are known; others say so by `level` and `unreduced`, as those of `thalweg.swarm.losses` do. Any
    other is taken to couple the batch: itself, "joint".

    >>> unreduced(nn.MSELoss())[1], unreduced(F.cross_entropy)[1], unreduced(lambda outputs, targets: ...)[1]
    ('element', 'sample', 'joint')
    """
    if hasattr(loss, "level"):
        return loss, loss.level
    plain = type(loss) if isinstance(loss, nn.Module) else loss
    for known, level in ((_ELEMENT, "element"), (_SAMPLE, "sample")):
        for function, module in known.items():
            if plain is function:
                return partial(function, reduction="none"), level
            unweighted = all(getattr(loss, name, None) is None for name in _WEIGHTS)
            if plain is module and unweighted and getattr(loss, "reduction", "mean") == "mean":
                bare = copy.deepcopy(loss)
                bare.reduction = "none"  # type: ignore[attr-defined]
                return bare, level
    return loss, "joint"


def domain_of(loss: LossFunction) -> tuple[float, float] | None:
    """Where a known loss is defined; None for everywhere."""
    return _DOMAINS.get(_plain(loss))


class Objective:
    """A loss of outputs (members, n, ...) and targets (members, n, ...), as a swarm or an estimator asks for it.

    At the level "element" each number of the outputs is a problem by itself, at "sample" the outputs of one sample, at
    "joint" those of a whole batch. Where a loss returns several numbers for one problem it is their mean.

    Raises ValueError where the loss does not return what its level needs.
    """

    def __init__(self, loss: LossFunction, level: str | None) -> None:
        if not callable(loss):
            raise ValueError(f"loss_fn must be a function (outputs, targets), got {loss!r}")
        own = getattr(loss, "level", None)
        self.level = level or own or ("sample" if _plain(loss) in {*_SAMPLE, *_SAMPLE.values()} else "element")
        if self.level not in LEVELS:
            raise ValueError(f"level must be one of {', '.join(LEVELS)}, got {level!r}")
        if self.level != "joint" and own == "joint":
            raise ValueError(f"level must be 'joint' for {loss!r}, which couples the batch, got {level!r}")
        terms = loss.unreduced if own in ("element", "sample") else loss  # type: ignore[attr-defined]
        # A joint loss that could be told apart is evaluated so, which takes no vmap, and averaged.
        self._separable = own in ("element", "sample") or _is_unreduced(loss)
        self.loss = terms if self._separable or self.level != "joint" else loss
        self._programs: dict[Any, Program | None] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_programs": {}}  # they cannot be pickled

    def value(self, outputs: Tensor, targets: Tensor, reduction: str) -> Tensor:
        """The loss of one network."""
        terms = self.loss(outputs, targets)
        if self.level == "joint":
            return _number(terms)
        self._check_terms(terms, outputs)
        terms = _floating(terms)
        if reduction == "mean":
            return terms.mean()
        return terms.sum() / (terms.numel() // (outputs.numel() if self.level == "element" else len(outputs)))

    def problems(self, outputs: Tensor) -> tuple[int, int]:
        """How many problems one row (a sample, of a joint loss a member) is, and of how many dimensions each."""
        numbers = math.prod(outputs.shape[2:])
        return {"element": (numbers, 1), "sample": (1, numbers), "joint": (1, numbers * outputs.shape[1])}[self.level]

    def terms(self, outputs: Tensor, reduction: str) -> int:
        """Over how many problems the loss of one network is averaged."""
        if reduction == "sum" or self.level == "joint":
            return 1
        return outputs.shape[1] * (math.prod(outputs.shape[2:]) if self.level == "element" else 1)

    def evaluator(self, shape: torch.Size, targets: Tensor) -> Evaluate:
        """The losses of candidates (candidates, problems, dimensions) as (candidates, problems).

        `shape` is that of the rows without the candidates: for a joint loss (members, n, ...), else (rows, ...).
        """
        if self.level != "joint":
            return _Separate(self, shape, targets)
        if self._separable:
            return _Averaged(self, shape, targets)
        return partial(self._joint, shape, targets)

    def _check_terms(self, terms: Any, outputs: Tensor) -> None:
        if not isinstance(terms, Tensor):
            _check(False, f"a tensor at the level {self.level!r}, got {terms!r:.80}")
        if self.level == "element":
            _check(
                terms.shape == outputs.shape,
                f"one number for each of outputs {tuple(outputs.shape)}, got shape {tuple(terms.shape)}; give "
                "reduction='none', or another level ('sample', 'joint')",
            )
        else:
            _check(
                terms.dim() > 0 and len(terms) == len(outputs),
                f"one number for each of {len(outputs)} samples, got shape {tuple(terms.shape)}; give "
                "reduction='none', or level='joint'",
            )

    def _joint(self, shape: torch.Size, targets: Tensor, x: Tensor) -> Tensor:
        candidates = x.reshape(len(x), *shape)
        key = (candidates.shape, candidates.dtype, targets.shape, targets.dtype)
        if key not in self._programs:
            self._programs[key] = self._vectorised(candidates, targets)
        program = self._programs[key]
        if program is not None:
            (losses,) = program(candidates, targets)
            return losses
        rows = [torch.stack([_number(self.loss(y, t)) for y, t in zip(ys, targets, strict=True)]) for ys in candidates]
        return torch.stack(rows).to(x)

    def _vectorised(self, candidates: Tensor, targets: Tensor) -> Program | None:
        """All candidates of all members in one call; None where the loss is none that torch can vectorise."""

        def one(y: Tensor, t: Tensor) -> Tensor:
            return _floating(self.loss(y, t)).mean()

        def call(ys: Tensor, ts: Tensor) -> tuple[Tensor]:
            # Expanded, because some of torch's losses refuse two vmaps where targets know of one alone.
            return (torch.vmap(torch.vmap(one))(ys, ts.expand(len(ys), *ts.shape)),)

        try:
            return traced(call, [candidates, targets])
        except Unstackable:
            return None


class _Averaged:
    """Candidates for whole batches, whose rows are nothing to each other all the same."""

    def __init__(self, objective: Objective, shape: torch.Size, targets: Tensor) -> None:
        self._evaluate = _Separate(objective, torch.Size((shape[0] * shape[1], *shape[2:])), targets.flatten(0, 1))

    def __call__(self, x: Tensor) -> Tensor:
        return self._evaluate.terms(x).reshape(*x.shape[:2], -1).mean(-1)


class _Separate:
    """Candidates for rows that are nothing to each other: they are one large batch to the loss."""

    def __init__(self, objective: Objective, shape: torch.Size, targets: Tensor) -> None:
        self.objective, self.shape = objective, shape
        self._loss, self._given = _faster(objective.loss, targets)
        self._expanded = self._given

    def __call__(self, x: Tensor) -> Tensor:
        losses = self.terms(x)
        if self.objective.level == "sample" and losses.dim() > 1:  # a sequence: one number a place
            losses = losses.flatten(1).mean(1)
        return losses.reshape(x.shape[:2]).to(x.dtype)

    def terms(self, x: Tensor) -> Tensor:
        """What the loss returns, in its own shape."""
        count, rows = len(x), self.shape[0]
        if len(self._expanded[0]) != count * rows:
            self._expanded = [t.expand(count, *t.shape).reshape(-1, *t.shape[1:]) for t in self._given]
        return _floating(self._loss(x.reshape(count * rows, *self.shape[1:]), *self._expanded))


def _plain(loss: LossFunction) -> Any:
    """The function or class behind a partial or a module."""
    while isinstance(loss, partial):
        loss = loss.func
    return loss if inspect.isroutine(loss) else type(loss)


def _is_unreduced(loss: LossFunction) -> bool:
    """Whether it is one of torch's, without reduction."""
    if _plain(loss) not in {*_ELEMENT, *_ELEMENT.values(), *_SAMPLE, *_SAMPLE.values()}:
        return False
    return getattr(loss, "keywords", {}).get("reduction", getattr(loss, "reduction", "")) == "none"


def _faster(loss: LossFunction, targets: Tensor) -> tuple[LossFunction, list[Tensor]]:
    """The loss and what it takes beside outputs, or what comes to the same, to rounding, in less time."""
    weighted = getattr(loss, "weight", None) is not None or set(getattr(loss, "keywords", ())) - {"reduction"}
    if weighted or _plain(loss) not in (F.binary_cross_entropy, nn.BCELoss):
        return loss, [targets]
    # Only a number that is 0 or 1 is its own square. A GPU is not asked, as it would have to be waited for.
    if targets.device.type == "cpu" and torch.equal(targets * targets, targets):
        zero = 1 - targets.float()
        return _cross_entropy_of_bits, [zero, 1 - 2 * zero]
    return _cross_entropy_of_shares, [targets]


# Torch's own binary cross-entropy takes five times as long (benchmarks/swarm_gradient.txt). It cuts losses off at
# 100; here that is at 87, and outputs outside of [0, 1] count as the nearer of the two.


def _cross_entropy_of_bits(y: Tensor, zero: Tensor, sign: Tensor) -> Tensor:
    """Minus the logarithm of y where the target is 1, of 1 - y where it is 0."""
    return torch.addcmul(zero, y, sign).clamp_(SMALLEST, 1).log_().neg_()


def _cross_entropy_of_shares(y: Tensor, t: Tensor) -> Tensor:
    """The same for targets in between."""
    zero, one = (1 - y).clamp_(SMALLEST, 1).log_(), y.clamp(SMALLEST, 1).log_()
    return torch.lerp(zero, one, t.to(y.dtype)).neg_()


def _number(loss: Any) -> Tensor:
    """What a loss of a whole batch returned, as one number: a tensor, of which it is the mean, or a Python number."""
    try:
        return _floating(torch.as_tensor(loss)).mean()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"loss_fn must return a tensor or a number, got {loss!r:.80}") from error


def _floating(terms: Tensor) -> Tensor:
    """Counts and truths, which a loss without a derivative may return, as numbers that have a mean."""
    return terms if terms.is_floating_point() else terms.float()


def _check(fits: bool, needed: str) -> None:
    if not fits:
        raise ValueError(f"loss_fn must return {needed}")

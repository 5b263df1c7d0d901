"""Losses of a decision between classes: F1, the area under the ROC curve, errors, and what errors cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.swarm.losses.base import HardLoss, SeparableLoss, check_temperature, nan_where, wide

AVERAGES = ("macro", "weighted", "binary")


@dataclass(frozen=True)
class F1Loss(HardLoss):
    """1 - F1 of the argmax of outputs (n, classes) against integer targets (n,).

    `average`: "macro", the mean over the classes that are in the targets or are predicted; "weighted", by how often
    each is in the targets; "binary", that of class 1 of two. F1 is 0 where nothing was to be found and nothing was.
    These are scikit-learn's f1_score with zero_division=0.

    The smooth loss puts expected counts under softmax(outputs / temperature) in place of counts ("soft F1"; Pastor-
    Pellicer et al. 2013); a class that is not in the targets weighs as much as it is expected, 1 at most.

    >>> outputs = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]])
    >>> F1Loss()(outputs, torch.tensor([0, 1, 1])).item()  # both classes have an F1 of 2/3
    0.3333333134651184
    """

    average: str = "macro"
    level = "joint"

    def __post_init__(self) -> None:
        if self.average not in AVERAGES:
            raise ValueError(f"average must be one of {', '.join(AVERAGES)}, got {self.average!r}")

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        outputs = _scores(outputs, targets)
        decided = torch.zeros_like(outputs).scatter(1, outputs.argmax(dim=1, keepdim=True), 1.0)
        return nan_where(outputs.isnan().any(), self._from(decided, _members(outputs, targets)))

    def smooth(self, outputs: Tensor, targets: Tensor, temperature: float | Tensor) -> Tensor:
        check_temperature(temperature)
        outputs = _scores(outputs, targets)
        return self._from((outputs / temperature).softmax(dim=1), _members(outputs, targets))

    def _from(self, predicted: Tensor, true: Tensor) -> Tensor:
        """The loss from what is predicted and what is true, (n, classes), each row a distribution."""
        hits, found, present = (predicted * true).sum(dim=0), predicted.sum(dim=0), true.sum(dim=0)
        f1 = 2 * hits / torch.where(present > 0, present + found, 1.0)  # no hits, so 0, where none is present
        if self.average == "binary":
            if len(f1) != 2:
                raise ValueError(f"average='binary' needs outputs of shape (n, 2), got {len(f1)} classes: use 'macro'")
            return 1 - f1[1]
        weights = present if self.average == "weighted" else (present + found).clamp(max=1.0)
        return 1 - (f1 * weights).sum() / weights.sum()


@dataclass(frozen=True)
class AUCLoss(HardLoss):
    """1 - the area under the ROC curve, of outputs (n, classes) and integer targets (n,).

    It is the chance that an example of a class scores below one of the others, ties counted half (Mann and Whitney
    1947). The score of a class is its log-odds under the softmax: for two classes the difference of the outputs. For
    more it is the mean of each class against the rest, over the classes that the batch has and does not only have;
    where there is none, the loss is 1/2, that of chance.

    The smooth loss has sigmoid(difference / temperature) in place of each comparison (Herschtal and Raskutti 2004) and
    takes memory for n² comparisons a class; the loss itself sorts.

    >>> outputs = torch.tensor([[0.0, 1.0], [0.0, 2.0], [0.0, 2.0], [0.0, 3.0]])
    >>> AUCLoss()(outputs, torch.tensor([0, 0, 1, 1])).item()  # of four pairs one is a tie
    0.125
    """

    level = "joint"

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        scores, members = self._by_class(outputs, targets)
        ascending = scores.sort(dim=1).values
        below = torch.searchsorted(ascending, scores)
        not_above = torch.searchsorted(ascending, scores, right=True)
        count = members.sum(dim=1)
        # Twice Mann and Whitney's U: the members' mean ranks, from 0 up, less those that they take among themselves.
        twice_won = (members * (below + not_above - 1)).sum(dim=1) - count * (count - 1)
        pairs = count * (members.shape[1] - count)
        lost = (2 * pairs - twice_won).to(scores.dtype) / 2
        return nan_where(scores.isnan().any(), self._mean(lost, pairs))

    def smooth(self, outputs: Tensor, targets: Tensor, temperature: float | Tensor) -> Tensor:
        check_temperature(temperature)
        scores, members = self._by_class(outputs, targets)
        lost = ((scores[:, None, :] - scores[:, :, None]) / temperature).sigmoid()
        compared = members[:, :, None] * (1 - members[:, None, :])
        return self._mean((lost * compared).sum(dim=(1, 2)), compared.sum(dim=(1, 2)))

    def _by_class(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Scores and, as 0 or 1, memberships, (classes, n); of two classes the second, which says it all."""
        outputs = _scores(outputs, targets)
        none = torch.full_like(outputs[:, :1], -math.inf)
        before = torch.cat([none, outputs[:, :-1].logcumsumexp(dim=1)], dim=1)
        after = torch.cat([none, outputs[:, 1:].flip(1).logcumsumexp(dim=1)], dim=1).flip(1)
        log_odds = outputs - torch.logaddexp(before, after)
        first = 1 if outputs.shape[1] == 2 else 0
        members = _members(outputs, targets).long()
        return log_odds.T[first:].contiguous(), members.T[first:]

    def _mean(self, lost: Tensor, pairs: Tensor) -> Tensor:
        """The mean share of lost comparisons, over the classes that have any."""
        compared = (pairs > 0).sum()
        return (lost / pairs.clamp(min=1)).sum() / compared.clamp(min=1) + 0.5 * (compared == 0)


@dataclass(frozen=True)
class ZeroOneLoss(SeparableLoss):
    """1 for each sample whose largest output is not at its target: outputs (n, classes), integer targets (n,).

    The smooth loss is the expected share of errors under softmax(outputs / temperature).
    """

    level = "sample"

    def unreduced(self, outputs: Tensor, targets: Tensor) -> Tensor:
        outputs = _scores(outputs, targets)
        right = _members(outputs, targets).gather(1, outputs.argmax(dim=1, keepdim=True))[:, 0]
        return nan_where(outputs.isnan().any(dim=1), 1 - right)

    def unreduced_smooth(self, outputs: Tensor, targets: Tensor, temperature: float | Tensor) -> Tensor:
        outputs = _scores(outputs, targets)
        return 1 - ((outputs / temperature).softmax(dim=1) * _members(outputs, targets)).sum(dim=1)


@dataclass(frozen=True)
class StepCost(SeparableLoss):
    """What the argmax decision costs: `costs[true][predicted]`, for outputs (n, classes) and integer targets (n,).

    The smooth loss is the expected cost under softmax(outputs / temperature).

    Raises ValueError unless the costs are a square of 2 rows or more, of finite numbers >= 0.

    >>> missed_alarm = StepCost(((0, 1), (10, 0)))
    >>> missed_alarm(torch.tensor([[1.0, 0.0]]), torch.tensor([1])).item()
    10.0
    """

    costs: Sequence[Sequence[float]]
    level = "sample"

    def __post_init__(self) -> None:
        try:
            costs = tuple(tuple(float(cost) for cost in row) for row in self.costs)
        except (TypeError, ValueError):
            costs = ()
        square = len(costs) >= 2 and all(len(row) == len(costs) for row in costs)
        if not square or not all(0 <= cost < math.inf for row in costs for cost in row):
            raise ValueError(
                "costs must be a square matrix of finite numbers >= 0, a row for each of 2 or more true classes, "
                f"got {self.costs!r}"
            )
        object.__setattr__(self, "costs", costs)

    def unreduced(self, outputs: Tensor, targets: Tensor) -> Tensor:
        outputs = _scores(outputs, targets)
        cost = self._of_each(outputs, targets).gather(1, outputs.argmax(dim=1, keepdim=True))[:, 0]
        return nan_where(outputs.isnan().any(dim=1), cost)

    def unreduced_smooth(self, outputs: Tensor, targets: Tensor, temperature: float | Tensor) -> Tensor:
        outputs = _scores(outputs, targets)
        return ((outputs / temperature).softmax(dim=1) * self._of_each(outputs, targets)).sum(dim=1)

    def _of_each(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """What each decision would cost for each sample, (n, classes)."""
        if outputs.shape[1] != len(self.costs):
            raise ValueError(f"costs are of {len(self.costs)} classes, but outputs of {outputs.shape[1]}")
        costs = torch.tensor(self.costs, dtype=outputs.dtype, device=outputs.device)
        return costs.index_select(0, targets.long())


def _scores(outputs: Tensor, targets: Tensor) -> Tensor:
    """The outputs, wide. Raises ValueError unless they are (n, classes) and the targets integers (n,)."""
    if outputs.dim() != 2 or outputs.shape[1] < 2:
        raise ValueError(
            f"outputs must have shape (n, classes) with 2 classes or more, got {tuple(outputs.shape)}: one output x "
            "a sample, of shape (n,), becomes two by torch.stack([torch.zeros_like(x), x], dim=1)"
        )
    if targets.shape != outputs.shape[:1] or targets.is_floating_point() or targets.is_complex():
        raise ValueError(
            f"targets must be integers of shape ({len(outputs)},), a class for each row of the outputs, got "
            f"{tuple(targets.shape)} {str(targets.dtype).removeprefix('torch.')}"
        )
    return wide(outputs)


def _members(outputs: Tensor, targets: Tensor) -> Tensor:
    """1 at each sample's class, else 0, (n, classes). A target that is no class raises torch's own error."""
    return torch.zeros_like(outputs).scatter(1, targets.long()[:, None], 1.0)

"""The training loop: epochs, schedules, early stopping and divergence, for a team of any kind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from thalweg.race.recipe import PLATEAU_FACTOR, Recipe
from thalweg.race.teams import Team

HASHED_BATCHES = 100


class Curves:
    """What was measured of every member: lists of one array (members,) an epoch, the first before any training.

    `lengths` says how many of them count for each member: those after it stopped do not.
    """

    def __init__(self, members: int) -> None:
        self.train_loss: list[np.ndarray] = []
        self.validation_loss: list[np.ndarray] = []
        self.validation_metric: list[np.ndarray] = []
        self.lengths = np.zeros(members, dtype=np.int64)
        self.diverged = np.zeros(members, dtype=np.bool_)

    def of(self, name: str, member: int) -> tuple[float, ...]:
        """One curve of one member."""
        values = getattr(self, name)[: self.lengths[member]]
        return tuple(float(value[member]) for value in values)


def train(team: Team, recipes: Sequence[Recipe], orders: Sequence[Tensor], batch: int) -> Curves:
    """Trains every member to its last epoch, or until it stops early or diverges.

    `orders`: for each member the rows of its training part in the order of each epoch, int64 (epochs, n). A member
    diverges when its loss, on the training or the validation part, or its metric is not finite at the end of an epoch.
    Raises ValueError where the metric is not finite before any training although the loss is.
    """
    curves = Curves(team.members)
    epochs, examples = orders[0].shape
    steps = -(-examples // batch)
    active = np.ones(team.members, dtype=np.bool_)
    watch = _Watch(recipes, epochs)
    _measure(team, curves, active)
    active &= ~curves.diverged
    watch.see(curves.validation_loss[-1], active)
    team.keep(active)
    for epoch in range(epochs):
        if not active.any():
            break
        factors = watch.factors(epoch * steps, steps, epochs * steps)
        rows = torch.stack([order[epoch] for order in orders])
        for i in range(steps):
            team.step(rows[:, i * batch : (i + 1) * batch], factors[:, i], active)
        _measure(team, curves, active)
        active &= ~curves.diverged
        better = watch.see(curves.validation_loss[-1], active)
        team.keep(better)
        active &= ~watch.tired()
    return curves


def batch_order(examples: int, epochs: int, generator: torch.Generator) -> Tensor:
    """For each epoch the order in which the examples are visited, (epochs, examples); cut in turn into batches."""
    return torch.stack([torch.randperm(examples, generator=generator) for _ in range(epochs)])


def first_batches(order: Tensor, batch: int) -> list[Tensor]:
    """The first 100 batches of an order, whose hash shows that two trials go through the same data.

    `batch`: the task's own size, because methods with another one are paired all the same.
    """
    batches = (rows for epoch in order for rows in epoch.split(batch))
    return [rows for _, rows in zip(range(HASHED_BATCHES), batches, strict=False)]


def _measure(team: Team, curves: Curves, active: np.ndarray) -> None:
    """Appends a point to the curves of those that are active, or marks them as diverged."""
    train_loss = team.losses(team.outputs("train"), "train")
    validated = team.outputs("validation")
    validation_loss, metric = team.losses(validated, "validation"), team.metrics(validated, "validation")
    finite, judged = np.isfinite(train_loss) & np.isfinite(validation_loss), np.isfinite(metric)
    if not curves.train_loss and (finite & ~judged).any():
        value = metric[finite & ~judged][0]
        raise ValueError(f"the metric must be finite where the loss is, got {value} from an untrained network")
    curves.diverged |= active & ~(finite & judged)
    curves.lengths += active & finite & judged
    curves.train_loss.append(train_loss)
    curves.validation_loss.append(validation_loss)
    curves.validation_metric.append(metric)


class _Watch:
    """What depends on the validation loss so far: early stopping, and the plateau schedule."""

    def __init__(self, recipes: Sequence[Recipe], epochs: int) -> None:
        self.recipes = recipes
        members = len(recipes)
        self.best = np.full(members, np.inf)
        self.since_best = np.zeros(members, dtype=np.int64)
        self.patience = np.array([recipe.patience or np.inf for recipe in recipes])
        self.flat_after = max(2, epochs // 10)
        self.on_plateau = np.array([recipe.schedule == "plateau" for recipe in recipes])
        self.since_cut = np.zeros(members, dtype=np.int64)
        self.cut = np.ones(members)

    def see(self, losses: np.ndarray, active: np.ndarray) -> np.ndarray:
        """Takes note of an epoch's losses; says which active members are better than ever."""
        better = active & (losses < self.best)
        self.best = np.where(better, losses, self.best)
        self.since_best = np.where(better, 0, self.since_best + 1)
        self.since_cut = np.where(better, 0, self.since_cut + 1)
        flat = self.on_plateau & (self.since_cut >= self.flat_after)
        self.cut = np.where(flat, self.cut * PLATEAU_FACTOR, self.cut)
        self.since_cut = np.where(flat, 0, self.since_cut)
        return better

    def tired(self) -> np.ndarray:
        """Which members have waited as long as their patience lasts."""
        return self.since_best >= self.patience

    def factors(self, first: int, count: int, total: int) -> np.ndarray:
        """What learning rates are multiplied by in the next steps: (members, steps)."""
        distinct = {recipe: recipe.factors(first, count, total) for recipe in set(self.recipes)}
        return np.stack([distinct[recipe] for recipe in self.recipes]) * self.cut[:, None]

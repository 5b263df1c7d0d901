"""The micro-proxy: a tiny real problem on which a whole generation of candidates is tried in a second."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, cross_entropy

from thalweg.evolve.session import Session
from thalweg.race.seeds import Seed
from thalweg.rules import Rule
from thalweg.tasks import Examples, Task
from thalweg.tasks.metrics import ACCURACY
from thalweg.tasks.models import mlp

STEPS, FIRST = 100, 30
MARGIN = 0.05  # of accuracy, or of R2; a network that drifts without learning gains less by chance


class Proxy:
    """Trains candidates for a few steps on a small task, and tells how far each came.

    Arguments:
        task: by default `small_digits`; a user's own works as well, and costs what its network costs.
        steps: how long a training is.
        first: after so many steps, those that have learnt nothing are left alone, and keep the score that they have; 0
            for no such cut.

    Who has learnt nothing is not finite, or has neither a lower loss nor a higher metric than the untrained network, on
    examples that it was not trained on. The metric alone would not do: a rule of small steps is at chance for long.

    Raises ValueError on steps out of bounds.
    """

    def __init__(self, task: Task | None = None, *, steps: int = STEPS, first: int = FIRST) -> None:
        if steps < 1 or not 0 <= first < steps:
            raise ValueError(f"steps must be at least 1 and first from 0 to below it, got {steps!r} and {first!r}")
        self.task = small_digits() if task is None else task
        self.steps, self.first = steps, first

    def scores(self, rules: Sequence[Rule], seed: int | Seed = 0) -> np.ndarray:
        """The metric of each candidate on examples that it was not trained on, float64; -inf where it failed."""
        return self.scores_and_examples(rules, seed)[0]

    def scores_and_examples(self, rules: Sequence[Rule], seed: int | Seed = 0) -> tuple[np.ndarray, np.ndarray]:
        """The same, and on how many examples each was trained."""
        if not rules:
            return np.empty(0), np.empty(0, dtype=np.int64)
        session = Session(rules, self.task, seed if isinstance(seed, Seed) else Seed(seed, self.task.name, 0))
        going = np.ones(len(rules), dtype=np.bool_)
        scores, examples = np.full(len(rules), -np.inf), np.zeros(len(rules), dtype=np.int64)
        if self.first:
            score, loss = session.untrained()
            session.step(self.first)
            (scores, losses), examples = session.results(), session.examples
            going = np.isfinite(scores) & ((losses < loss) | (scores > score + MARGIN))
            session.drop(going)
        if going.any():
            session.step(self.steps - self.first)
            scores[going], examples[going] = session.scores(), session.examples
        return scores, examples


@cache
def small_digits() -> Task:
    """The bundled digits at 4x4 pixels, each the mean of four: ten classes from 16 inputs, for a 16-16-10 network."""
    return Task(
        partial(mlp, (16, 16, 10)),
        cross_entropy,
        _small,
        metric=ACCURACY,
        name="small_digits",
        title="Digits at 4x4 pixels",
        batch_size=32,
        epochs=4,
        source="scikit-learn",
    )


def _small() -> Examples:
    from sklearn import datasets  # a second, which whoever trains nothing need not wait for

    inputs, targets = datasets.load_digits(return_X_y=True)
    pixels = avg_pool2d(torch.as_tensor(inputs, dtype=torch.float32).reshape(-1, 1, 8, 8), 2).flatten(1)
    return Examples(pixels, torch.as_tensor(targets, dtype=torch.int64))

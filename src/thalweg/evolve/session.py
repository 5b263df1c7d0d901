"""`Session`: candidates trained on one task with one seed, all from the same weights and through the same batches."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from thalweg.cohort import Unstackable
from thalweg.evolve.lending import most_members
from thalweg.evolve.singly import Singly
from thalweg.evolve.together import Group, Together
from thalweg.race.alone import outputs_of
from thalweg.race.seeds import Seed, Stream
from thalweg.race.teams import metrics_of
from thalweg.rules import Rule
from thalweg.tasks import Examples, Task, dropout


class Session:
    """Trains each rule, at its default hyperparameters, on a network of its own.

    Arguments:
        rules: of the candidates; at least one.
        task: what they are trained on.
        seed: decides the split, the initial weights, the order of the batches and the dropout masks: all the same for
            all candidates, so that their scores are paired. They are those of a race's trial with that seed.
        batch: examples of a step; by default the task's.
        chunk: how many train in one cohort; by default as many as `most_members` says, of the network alone.
        device: where networks and data are. Away from the CPU candidates train one after another: the machine that
            steps a cohort is the CPU's.

    A candidate whose loss or weights are not finite is trained no more and scores -inf, as one does that answers NaN.
    It changes nothing of the others; neither does who else is in the session, but for rounding. Networks that cannot be
    stacked train one after another (`singly` says how many). With one torch thread the same session gives the same
    bits; sessions of one task share cohorts, so no two threads may use them at once.

    Raises ValueError on an argument out of bounds, or where network or loss raise at the initial weights. Where they
    raise later, the candidate whose weights they fail on has failed.

    >>> import thalweg
    >>> from thalweg.tasks.bundled import iris
    >>> rules = [Rule("descent", "w = w - 0.1*g"), Rule("ascent", "w = w + 1e30*g")]
    >>> session = Session(rules, iris(), Seed(0, "iris", 0))
    >>> session.advance(5)
    >>> good, bad = session.scores()
    >>> bool(good > 0.8), float(bad)
    (True, -inf)
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        task: Task,
        seed: Seed,
        *,
        batch: int | None = None,
        chunk: int | None = None,
        device: str = "cpu",
    ) -> None:
        for name, value in (("batch", batch), ("chunk", chunk)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
        if not rules:
            raise ValueError("rules must hold at least one, got none")
        self.task, self.seed = task, seed
        self.device = torch.device(device)
        self.workload = workload = task.workload(seed.generator(Stream.SPLIT))
        self._training, self._validation = (_on(part, self.device) for part in (workload.train, workload.validation))
        self._batch = min(batch or task.batch_size, len(self.workload.train))
        self._network = dropout.with_own_dropout(self.workload.network(seed.generator(Stream.INIT))).train()
        self._network = self._network.to(self.device)
        self._rules = list(rules)
        stacked = self.device.type == "cpu"
        most = most_members(task, self._network, self._training[: self._batch]) if stacked else len(rules)
        size = chunk or most
        self._groups: list[Group] = []
        self._spans = [slice(start, min(start + size, len(rules))) for start in range(0, len(rules), size)]
        for span in self._spans:
            own = self._rules[span]
            self._groups.append(Together(own, task, self._network, seed) if stacked else self._alone(own))
        self._kept = np.arange(len(rules))
        self._order = self._batches()
        self._steps, self._asked = 0, 0.0

    @property
    def steps_per_epoch(self) -> int:
        """Batches that the training part is cut into; the last may be smaller."""
        return -(-len(self.workload.train) // self._batch)

    def __len__(self) -> int:
        """How many candidates are left."""
        return len(self._kept)

    @property
    def examples(self) -> np.ndarray:
        """On how many examples each candidate has been trained, int64 (candidates,)."""
        return np.concatenate([group.examples for group in self._groups])[self._kept]

    @property
    def singly(self) -> int:
        """How many candidates are trained one after another, which is slower."""
        groups = zip(self._spans, self._groups, strict=True)
        return sum(span.stop - span.start for span, group in groups if isinstance(group, Singly))

    def advance(self, epochs: float) -> None:
        """Trains for so many epochs more; parts of epochs add up, and are rounded to whole steps."""
        if not epochs >= 0 or math.isinf(epochs):
            raise ValueError(f"epochs must be a number of at least 0, got {epochs!r}")
        self._asked += epochs
        self.step(max(0, round(self._asked * self.steps_per_epoch) - self._steps))

    def step(self, count: int) -> None:
        """Trains for so many batches more."""
        end = self._steps + count
        while self._steps < end:  # an epoch at a time: batches are held in memory, and cohorts made smaller in between
            rows = list(itertools.islice(self._order, min(end - self._steps, self.steps_per_epoch)))
            batches = [self._training[each.to(self.device)] for each in rows]
            for place in range(len(self._groups)):
                self._train(place, batches)
            self._steps += len(batches)
        self._asked = max(self._asked, self._steps / self.steps_per_epoch)

    def drop(self, keep: np.ndarray) -> None:
        """Goes on with these candidates alone, bool (candidates,); results then have one value for each of them."""
        keep = np.asarray(keep)
        if keep.dtype != np.bool_ or keep.shape != self._kept.shape:
            raise ValueError(f"keep must be one bool for each of {len(self)} candidates, got {keep.dtype} {keep.shape}")
        self._kept = self._kept[keep]
        wanted = np.zeros(len(self._rules), dtype=np.bool_)
        wanted[self._kept] = True
        for span, group in zip(self._spans, self._groups, strict=True):
            group.keep(wanted[span])

    def scores(self) -> np.ndarray:
        """The task's metric on the validation part, float64 (candidates,): -inf where a candidate failed."""
        return self.results()[0]

    def losses(self) -> np.ndarray:
        """The loss on the validation part, float64 (candidates,): inf where a candidate failed."""
        return self.results()[1]

    def results(self) -> tuple[np.ndarray, np.ndarray]:
        """Scores and losses, for one price."""
        return self._judged(self._validation)

    def untrained(self) -> tuple[float, float]:
        """Score and loss of the network that all began as."""
        part = self._validation
        outputs = outputs_of(copy.deepcopy(self._network).eval(), part.inputs)
        return float(self.task.metric.function(outputs, part.targets)), float(self.task.loss(outputs, part.targets))

    def test_scores(self) -> np.ndarray:
        """The metric on the test part, of the weights as they are: for what is judged in the end, never to choose."""
        test = self.task.workload_and_test(self.seed.generator(Stream.SPLIT))[1]
        return self._judged(_on(test, self.device))[0]

    def _train(self, place: int, batches: Sequence[Examples]) -> None:
        """Trains a group; one that turns out not to be stackable trains one after another, from the beginning."""
        try:
            self._groups[place].train(batches)
        except Unstackable:
            self._singly(place)
            self._groups[place].train(batches)

    def _singly(self, place: int) -> None:
        """Puts a group that trains one after another in the place of one that cannot train together."""
        span = self._spans[place]
        group = self._alone(self._rules[span])
        group.keep(np.isin(np.arange(span.start, span.stop), self._kept))
        for rows in itertools.islice(self._batches(), self._steps):
            group.train([self._training[rows]])
        self._groups[place] = group

    def _alone(self, rules: Sequence[Rule]) -> Singly:
        return Singly(rules, self.task, self._network, self.seed, self.device)

    def _judged(self, part: Examples) -> tuple[np.ndarray, np.ndarray]:
        """Metric and loss of each candidate that is left."""
        metrics, losses = np.full(len(self._rules), -np.inf), np.full(len(self._rules), np.inf)
        for place, span in enumerate(self._spans):
            rows, outputs = self._outputs(place, part.inputs)
            if not len(rows):
                continue
            targets = part.targets.expand(len(rows), *part.targets.shape)
            with torch.no_grad():
                loss = np.array([_tried(self.task.loss, *pair) for pair in zip(outputs, targets, strict=True)])
            metric = self._metrics(outputs, targets)
            sound = ~torch.isnan(outputs).flatten(1).any(1).cpu().numpy() & np.isfinite(loss) & np.isfinite(metric)
            metrics[span][rows[sound]], losses[span][rows[sound]] = metric[sound], loss[sound]
        return metrics[self._kept], losses[self._kept]

    def _metrics(self, outputs: Tensor, targets: Tensor) -> np.ndarray:
        """The metric of each; NaN where it raises."""
        try:
            return metrics_of(self.workload, outputs, targets)
        except Exception:  # a user's own: whose fault it is, each by itself tells
            function = self.task.metric.function
            return np.array([_tried(function, *pair) for pair in zip(outputs, targets, strict=True)])

    def _outputs(self, place: int, inputs: Tensor) -> tuple[np.ndarray, Tensor]:
        try:
            return self._groups[place].outputs(inputs)
        except Unstackable:
            self._singly(place)
            return self._groups[place].outputs(inputs)

    def _batches(self) -> Iterator[Tensor]:
        """The rows of one batch after another, without end: as `thalweg.race` orders them."""
        generator, examples = self.seed.generator(Stream.ORDER), len(self.workload.train)
        while True:
            yield from torch.randperm(examples, generator=generator).split(self._batch)


def _on(part: Examples, device: torch.device) -> Examples:
    return Examples(part.inputs.to(device), part.targets.to(device))


def _tried(function: Callable[[Tensor, Tensor], Tensor], outputs: Tensor, targets: Tensor) -> float:
    """A user's function, NaN where it raises on the outputs of a candidate: it has been tried on others' before."""
    try:
        return float(function(outputs, targets))
    except Exception:  # whatever it raises
        return math.nan

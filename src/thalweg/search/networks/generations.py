"""`Training`: generations of networks, which of their weights are kept, and when it is time to stop."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from time import monotonic
from typing import Any

import torch
from torch import Tensor

from thalweg.search.networks.batches import Batches
from thalweg.search.networks.evaluators import number, seeded
from thalweg.search.networks.population import Population
from thalweg.search.strategy import Strategy
from thalweg.tasks import Examples

FINALISTS = 10  # of a generation, judged on all data where one batch does not say who is best (Such et al. 2017)
ROWS = 4096  # that one network answers at once


@dataclass(frozen=True)
class Generation:
    """What came of a generation: evaluations so far, the lowest and the median loss of its members on its batch, the
    loss on the validation data, NaN where they were not looked at, and the seconds since training began, or went on."""

    evals: int
    lowest: float
    median: float
    validation: float
    seconds: float


class Judge:
    """The loss of weights on all of the data, in evaluation mode, with running statistics from what is trained on."""

    def __init__(self, population: Population, examples: Examples, batches: Batches) -> None:
        self.population, self.examples, self.batches = population, examples, batches

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """Of vectors (k, D), (k,), where NaN is inf."""
        losses = [float(self._loss(row)) for row in x]
        return torch.tensor(losses, dtype=torch.float64).nan_to_num(math.inf, math.inf, -math.inf)

    def _loss(self, x: Tensor) -> Tensor:
        inputs, population = self.examples.inputs, self.population
        with seeded(0, population.device):  # whatever a network draws in evaluation mode is the same for all
            module = population.member(x, self.batches.inputs())
            parts = [module(rows) for rows in inputs.split(ROWS)] if len(inputs) > ROWS else []
            outputs = torch.cat(parts) if parts else module(inputs)
            return number(population.loss_fn(outputs, self.examples.targets))


class Training:
    """A training under way, between two generations."""

    def __init__(
        self,
        population: Population,
        strategy: Strategy,
        batches: Batches,
        validation: Examples | None,
        validate_every: int | None,
        keep: str | None,
    ) -> None:
        self.population, self.strategy, self.batches = population, strategy, batches
        self.validation, self.keep = validation, keep
        self.validate_every = batches.per_epoch if validate_every is None else validate_every
        self.judge = Judge(population, batches.examples if validation is None else validation, batches)
        self.history: list[Generation] = []
        self.finalists = population.start.unsqueeze(0)
        self.kept, self.kept_loss = population.start.clone(), math.inf
        self.lowest = math.inf  # of the losses that target and patience go by
        self.improved = 0  # the generation in which it was reached
        self.began = monotonic()

    def reason(self, budget: int, target: float | None, patience: int | None, seconds: float | None) -> str:
        """Why there should be no other generation; "" where nothing speaks against it."""
        done = self.strategy.generation
        if target is not None and self.lowest <= target:
            return "target"
        if done and self.strategy.reasons[0]:
            return self.strategy.reasons[0]
        if patience is not None and done - self.improved >= patience:
            return "patience"
        if done and int(self.strategy.evals) + len(self.strategy.ask()) > budget:
            return "budget"
        return "seconds" if seconds is not None and monotonic() - self.began >= seconds else ""

    def step(self) -> Generation:
        """One generation."""
        x = self.strategy.ask()
        losses = self._losses(x)
        self.strategy.tell(losses)
        self.batches.advance()
        self.finalists = self._finalists(x, losses)
        found = math.nan
        if self.validation is not None and self.strategy.generation % self.validate_every == 0:
            best, found = self._judged()
            if found < self.kept_loss:
                self.kept, self.kept_loss = best, found
        lowest, median = torch.stack([losses.nan_to_num(math.inf).min(), losses.median()]).tolist()
        compared = lowest if self.validation is None else found
        if compared < self.lowest:
            self.lowest, self.improved = compared, self.strategy.generation
        self.history.append(Generation(int(self.strategy.evals), lowest, median, found, monotonic() - self.began))
        return self.history[-1]

    def _losses(self, x: Tensor) -> Tensor:
        """Those of a generation (P, D) on its batch."""
        inputs, targets = self.batches.current()
        try:
            losses = self.population.losses(x, inputs, targets)
        except Exception as error:
            error.add_note(f"loss_fn was to judge the module on data: {_described(inputs, targets)}")
            raise
        if not self.strategy.generation and bool(losses.isnan().all()):
            raise ValueError(
                f"loss_fn must be a number for some weights, got nan for all {len(x)} members of the first generation; "
                f"leave out rows of data with nan or inf in them, or search closer to the module, by a smaller scale"
            )
        return losses

    def found(self) -> tuple[Tensor, float]:
        """The weights to return, (D,), and their loss on the data that judge them; it changes nothing."""
        looked = bool(self.history) and not math.isnan(self.history[-1].validation)
        best, loss = (self.kept, math.inf) if looked else self._judged()
        return (self.kept, self.kept_loss) if self.kept_loss <= loss else (best, loss)

    def _judged(self) -> tuple[Tensor, float]:
        """The best of the finalists, and its loss."""
        losses = self.judge(self.finalists)
        return self.finalists[losses.argmin()], float(losses.min())

    def _finalists(self, x: Tensor, losses: Tensor) -> Tensor:
        """Whose weights come into question after a generation, (k, D)."""
        strategy = self.strategy
        has_center = strategy.algorithm.center(strategy.state) is not None
        if self.keep is not None:
            return (strategy.best.x if self.keep == "best" else strategy.center).unsqueeze(0)
        if self.batches.whole and not self.population.random:
            return torch.stack([strategy.best.x, strategy.center] if has_center else [strategy.best.x])
        if has_center:
            return strategy.center.unsqueeze(0)
        return x[losses.nan_to_num(math.inf).argsort()[:FINALISTS]]

    # Saved and restored

    def state(self) -> dict[str, Any]:
        """All that a training of the same arguments needs to go on, bit for bit."""
        return {
            "strategy": self.strategy.state_dict(),
            "batches": self.batches.state(),
            "luck": self.population.generator.get_state(),
            "chunk": self.population.chunk,
            "history": [list(astuple(each)) for each in self.history],
            "finalists": self.finalists.clone(),
            "kept": [self.kept.clone(), self.kept_loss],
            "lowest": [self.lowest, self.improved],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Goes on where `state` was taken."""
        self.strategy.load_state_dict(state["strategy"])
        self.batches.load(state["batches"])
        self.population.generator.set_state(state["luck"].cpu())
        self.population.settle(state["chunk"])
        self.history = [Generation(*each) for each in state["history"]]
        self.finalists = state["finalists"].to(self.population.device)
        self.kept, self.kept_loss = state["kept"][0].to(self.population.device), state["kept"][1]
        self.lowest, self.improved = state["lowest"]


def _described(inputs: Tensor, targets: Tensor) -> str:
    """A batch in words, its labels by the range that they are in."""
    whole = not targets.is_floating_point() and not targets.is_complex()
    span = f" from {int(targets.min())} to {int(targets.max())}" if whole and targets.numel() else ""
    return f"inputs {tuple(inputs.shape)}, and targets {tuple(targets.shape)} of {targets.dtype}{span}"

"""The loop of a search: generations, local searches between them, and restarts, until every run is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from thalweg.search.functions.beginning import population_of, strategy_of, uniform_pair, width_of
from thalweg.search.functions.leg import Leg, plan_state
from thalweg.search.functions.objective import Objective
from thalweg.search.functions.refine import Answer, Refine, refined
from thalweg.search.functions.restarts import Past, Plan, Restarts
from thalweg.search.functions.tally import Tally
from thalweg.search.strategy import Strategy

_FINAL = ("target", "budget", "parked")  # reasons that no restart does away with


@dataclass(frozen=True)
class Setting:
    """What a search was asked for; `seeds` is one for all runs, or one a run."""

    budget: int
    target: float | None
    patience: int | None
    refine: Refine | None
    restarts: Restarts | None
    seeds: list[int]


class Search:
    """A search under way. All that it knows changes after f has been called, never before, so that it is whole where f
    raises; `keep` is called then, and whenever f has answered for a point by itself."""

    def __init__(self, objective: Objective, strategy: Strategy, setting: Setting) -> None:
        self.objective, self.strategy, self.setting = objective, strategy, setting
        self.problem, self.algorithm = strategy.problem, strategy.algorithm
        runs, dim = self.problem.runs, self.problem.dim
        self.keep: Callable[[bool], None] = lambda now: None
        self.tally = Tally(runs, dim, setting.target, self.problem.dtype, self.problem.device)
        self.reasons = [""] * runs
        self.past: list[list[Past]] = [[] for _ in range(runs)]
        self.population = 0  # of the first leg; 0: nobody has asked yet
        # What f has answered of the generation or of the local search that is under way, point by point.
        self.answered: list[float] = []
        self.slopes: list[Answer] = []
        self.waiting: list[Leg] = []
        self.over = False
        if strategy.generation:
            self.tally.begin(strategy.evals.reshape(runs), *self._best())
        self.leg = Leg(np.arange(runs), Plan(), 0, setting.budget, self.tally.evals.copy())
        self.leg.best = self.tally.f.copy()
        self.leg.under_way = ~strategy.parked.cpu().numpy()
        for run in strategy.parked.nonzero().flatten().tolist():
            self.reasons[run] = "parked"

    def step(self) -> bool:
        """What is due after the generation before, and one more; False where there is none."""
        while not self.over:
            leg = self.leg
            if self.setting.refine is not None and self.strategy.generation:
                self._refine(leg.due(self.strategy.generation, self.tally.evals[leg.runs], self.problem.dim))
            self._end(self._reasons())
            if leg.under_way.any() and self._generation():
                return True
            self._go_on()
        return False

    # A generation

    def _generation(self) -> bool:
        """False where no run can afford it."""
        leg, dim = self.leg, self.problem.dim
        x = self.strategy.ask().reshape(len(leg.runs), -1, dim)
        if not self.population:
            said = getattr(self.algorithm, "population", None)
            self.population = said if isinstance(said, int) else x.shape[1]
        self._end(self._too_dear(x.shape[1]))
        if not leg.under_way.any():
            return False
        runs = leg.runs[leg.under_way]
        active = torch.from_numpy(leg.under_way).to(x.device)
        points = x if len(runs) == len(x) else x[active]
        values = fitness = self._values(points.flatten(0, 1)).reshape(points.shape[:2])
        if len(runs) < len(x):
            fitness = x.new_full(x.shape[:2], torch.inf)
            fitness[active] = values
        self.strategy.tell(fitness if len(fitness) > 1 else fitness[0])
        self.answered = []
        self.tally.add(runs, points, values)
        leg.told(fitness)
        return True

    def _values(self, x: Tensor) -> Tensor:
        """Of points (n, D), (n,), inf where f is nan."""
        with self.safely():
            values = self.objective.values(x, self.answered, self._keep_some)
        if not self.tally.evals.any() and bool(values.isnan().all()):
            self.answered = []
            why = f"; the last exception was {self.objective.trouble}" if self.objective.trouble else ""
            raise ValueError(f"f must be a number somewhere, got nan at all {len(values)} points of the start{why}")
        return torch.where(values.isnan(), torch.inf, values)

    def _keep_some(self) -> None:
        self.keep(False)

    @contextmanager
    def safely(self) -> Iterator[None]:
        """Around what is not ours: where it raises, what was found before is kept."""
        try:
            yield
        except BaseException:
            self.keep(True)
            raise

    # When a run is over

    def _reasons(self) -> dict[int, str]:
        """By row, why it is over."""
        leg, patience = self.leg, self.setting.patience
        found: dict[int, str] = {}
        own = self.strategy.reasons if self.strategy.generation else [""] * len(leg.runs)
        for row in leg.under_way.nonzero()[0].tolist():
            if self.tally.solved[leg.runs[row]]:
                found[row] = "target"
            elif own[row]:
                found[row] = own[row]
            elif patience is not None and leg.stale[row] >= patience:
                found[row] = "patience"
        return found

    def _too_dear(self, population: int) -> dict[int, str]:
        """By row, why one more generation is more than it may take. The first one is always allowed."""
        leg, evals = self.leg, self.tally.evals[self.leg.runs]
        if leg.plan.most is None and evals.max() + population <= self.setting.budget:
            return {}
        most = np.inf if leg.plan.most is None else leg.plan.most
        spent = leg.under_way & (evals + population > self.setting.budget) & (evals > 0)
        restarts = leg.under_way & (evals - leg.begun + population > most) & (evals > leg.begun)
        ended = {int(row): "restart" for row in restarts.nonzero()[0]}
        return ended | {int(row): "budget" for row in spent.nonzero()[0]}

    def _end(self, reasons: dict[int, str]) -> None:
        """Ends rows of the leg, after a last local search where the best of one is fresh."""
        leg = self.leg
        if not reasons:
            return
        ending = np.zeros(len(leg.runs), bool)
        ending[list(reasons)] = True
        if self.setting.refine is not None:
            self._refine(leg.fresh() & ending & ~self.tally.solved[leg.runs])
        for row, reason in reasons.items():
            run = int(leg.runs[row])
            self.reasons[run] = "target" if self.tally.solved[run] else reason
            self.past[run].append(Past(leg.plan, int(self.tally.evals[run] - leg.begun[row])))
        leg.under_way &= ~ending
        if leg.under_way.any():  # the others go on, and it is with them
            self.strategy.park(torch.from_numpy(ending))

    # Local searches

    def _refine(self, rows: NDArray[np.bool_]) -> None:
        leg, setting, how = self.leg, self.setting, self.setting.refine
        assert how is not None
        target = -np.inf if setting.target is None else setting.target
        box = self.problem.low, self.problem.high, width_of(self.problem)
        for row in rows.nonzero()[0].tolist():
            run = leg.runs[row : row + 1]
            left = setting.budget - int(self.tally.evals[run[0]])
            if left < 1:
                continue
            start, slope = self._best()[0][row], self.objective.slope
            with self.safely():
                points, values = refined(how, slope, start, box, left, target, self.slopes, self._keep_some)
            self.slopes = []
            values = torch.where(values.isnan(), torch.inf, values)
            self.tally.add(run, points.unsqueeze(0), values.unsqueeze(0))
            best = int(values.argmin())
            self._hand_back(row, points[best], values[best], len(values))
            leg.was_refined(row, values[best].item(), self.strategy.generation, int(self.tally.evals[run[0]]))

    def _hand_back(self, row: int, x: Tensor, f: Tensor, evals: int) -> None:
        every = x.new_zeros(len(self.leg.runs), len(x))
        fitness = x.new_full((len(every),), torch.inf)
        spent = torch.zeros(len(every), dtype=torch.int64, device=x.device)
        every[row], fitness[row], spent[row] = x, f, evals
        self.strategy.receive(every, fitness, spent)

    def _best(self) -> tuple[Tensor, Tensor]:
        best = self.strategy.best
        return best.x.reshape(-1, self.problem.dim), best.f.reshape(-1)

    # Restarts

    def _go_on(self) -> None:
        """Begins the next leg; where there is none, the search is over."""
        self.waiting = self.waiting or self._planned()
        if not self.waiting:
            self.over = True
            return
        self.leg = self.waiting.pop(0)
        self.leg.begun = self.tally.evals[self.leg.runs]
        self.leg.budget = self.setting.budget - int(self.leg.begun.min())
        self.strategy = self._strategy()

    def _planned(self) -> list[Leg]:
        """One leg for all runs that begin anew alike."""
        restarts, number, alike = self.setting.restarts, self.leg.number + 1, dict[Plan, list[int]]()
        for run, reason in enumerate(self.reasons):
            if restarts is None or reason in _FINAL or reason == "restarts":
                continue
            plan = restarts.next(self.past[run], *uniform_pair(self.setting.seeds, run, number))
            if plan is None:
                self.reasons[run] = "restarts"
            elif population_of(self.algorithm, self.population, plan) > self.setting.budget - self.tally.evals[run]:
                self.reasons[run] = "budget"
            else:
                alike.setdefault(plan, []).append(run)
        return [Leg(np.array(runs), plan, number, 0, np.zeros(len(runs), np.int64)) for plan, runs in alike.items()]

    def _strategy(self) -> Strategy:
        return strategy_of(self.leg, self.problem, self.algorithm, self.population, self.setting.seeds)

    # What is kept

    def state(self) -> dict[str, Any]:
        """All that `load` needs to go on, bit for bit, as tensors, numbers and words."""
        return {
            "tally": self.tally.state(),
            "reasons": list(self.reasons),
            "past": [[[plan_state(one.plan), one.evals] for one in past] for past in self.past],
            "population": self.population,
            "answered": list(self.answered),
            "slopes": [(value, gradient.clone()) for value, gradient in self.slopes],
            "failures": self.objective.failures,
            "leg": self.leg.state(),
            "waiting": [leg.state() for leg in self.waiting],
            "over": self.over,
            "strategy": self.strategy.state_dict(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Goes on where `state` was taken."""
        self.tally.load(state["tally"])
        self.reasons, self.population, self.over = list(state["reasons"]), state["population"], state["over"]
        self.past = [[Past(Plan(*plan), evals) for plan, evals in past] for past in state["past"]]
        self.answered, self.objective.failures = list(state["answered"]), state["failures"]
        self.slopes = [(value, gradient.to(self.problem.device)) for value, gradient in state["slopes"]]
        self.leg, self.waiting = Leg.of(state["leg"]), [Leg.of(leg) for leg in state["waiting"]]
        if self.leg.number:
            self.strategy = self._strategy()
        self.strategy.load_state_dict(state["strategy"])

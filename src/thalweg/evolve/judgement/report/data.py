"""What the report of an evolution is made of: plain data, without times or dates."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from thalweg.evolve.judgement.genealogy import Birth
from thalweg.evolve.judgement.retest import Retest
from thalweg.race.statistics import Verdict
from thalweg.rules import Rule

HELD = 100  # steps after which a held gradient is drawn: momentum has settled by then
_POINTS = 121  # of a response curve


@dataclass(frozen=True)
class Batch:
    """How evolution stands after a batch: candidates generated so far, the best one's mean over so many seeds, and the
    mean of all members that were trained in full."""

    batch: int
    candidates: int
    best: float
    seeds: int
    mean: float


@dataclass(frozen=True)
class Stage:
    """A stage of the funnel, or a reason for being refused, and how many candidates came to it."""

    name: str
    count: int


@dataclass(frozen=True)
class HurdleLoss:
    """What the hurdles lose, as the ungated control stream shows it: of `viable` candidates in it, `lost` would have
    been stopped; the share, and its 95 % interval."""

    viable: int
    lost: int
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class FrontPoint:
    """A candidate that none is both smaller and better than: its size, score and equations."""

    size: int
    score: float
    equations: str


@dataclass(frozen=True)
class Response:
    """Steps against the gradient for each of some gradients: the first one, and one after `HELD` steps."""

    gradients: tuple[float, ...]
    first: tuple[float, ...]
    held: tuple[float, ...]


@dataclass(frozen=True)
class Best:
    """The winner as the page shows it. `settings` has its hyperparameters as text, `score` is its mean on seeds that
    had no part in choosing it; None where it was not re-tested."""

    equations: str
    settings: str
    latex: str
    response: Response
    score: Retest | None = None


@dataclass(frozen=True)
class Finalist:
    """A finalist and its re-tests, on seeds that had no part in choosing the winner; `chosen` is the winner."""

    name: str
    equations: str
    retest: Retest
    chosen: bool = False


@dataclass(frozen=True)
class Compared:
    """A row of a table of comparisons: ours less theirs over n paired seeds, with its 95 % interval and verdict.

    `label` names them: an optimizer, a control, or what an ablation leaves out (then theirs is the rule as it is, and
    ours is what is left of it). `task` names the task where there are several.
    """

    label: str
    ours: float
    theirs: float
    difference: float
    low: float
    high: float
    n: int
    verdict: Verdict
    task: str = ""


@dataclass(frozen=True)
class EvolutionReport:
    """All that the page of an evolution shows; what is empty or None has no section.

    `metric` names the score, `percent` says that it is a share of one. `settings` are pairs of a name and a value.
    """

    title: str
    metric: str = "accuracy"
    percent: bool = True
    settings: tuple[tuple[str, str], ...] = ()
    best: Best | None = None
    nearest: str = ""
    history: tuple[Batch, ...] = ()
    funnel: tuple[Stage, ...] = ()
    refusals: tuple[Stage, ...] = ()
    hurdle: HurdleLoss | None = None
    front: tuple[FrontPoint, ...] = ()
    lineage: tuple[Birth, ...] = ()
    finalists: tuple[Finalist, ...] = ()
    ablations: tuple[Compared, ...] = ()
    controls: tuple[Compared, ...] = ()
    race: tuple[Compared, ...] = ()
    away: tuple[Compared, ...] = ()


def best_of(rule: Rule, score: Retest | None = None, span: float = 1.0) -> Best:
    """The winner as the page shows it, its response drawn for gradients from -span to span."""
    gradients = torch.linspace(-span, span, _POINTS, dtype=torch.float64)
    curves = [tuple(rule.response(gradients, steps=steps).tolist()) for steps in (1, HELD)]
    settings = {name: value for name, value in rule.hyperparameters.items() if name != "weight_decay" or value}
    shown = ", ".join(f"{name} = {value!r}" for name, value in settings.items() if name != "lr" or rule.reads_lr)
    return Best(rule.text, shown, rule.latex(), Response(tuple(gradients.tolist()), *curves), score)

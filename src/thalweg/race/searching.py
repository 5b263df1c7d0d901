"""`Searching`: how a network is trained without gradients, or with few, and the methods that do so by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from thalweg import search
from thalweg.names import shown
from thalweg.race.record import Value
from thalweg.rules.gallery import GALLERY
from thalweg.search.catalogue import ALGORITHMS

POPULATION = 50
SCALE = 0.3


@dataclass(frozen=True)
class Searching:
    """Makes a `thalweg.search.Trainer`.

    `trainer` is its class in `thalweg.search`, `strategy` a name, `rule` one of the gallery where steps of an optimizer
    have a part. `defaults` are the hyperparameters that a method has of it, `fixed` the other arguments; those in
    `scales` are searched.
    """

    trainer: str
    strategy: str
    rule: str = ""
    defaults: Mapping[str, Value] = field(default_factory=dict)
    scales: tuple[str, ...] = ("scale",)
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def make(
        self,
        network: nn.Module,
        loss: Callable[..., Tensor],
        generator: torch.Generator,
        budget: int,
        **hyperparameters: Any,
    ) -> search.Trainer:
        """The trainer of a network that will be given as many passes as `budget` forward ones."""
        rule = {"rule": GALLERY[self.rule].rule} if self.rule else {}
        made: Callable[..., search.Trainer] = getattr(search, self.trainer)
        strategy = {"strategy": self.strategy, "budget": budget} if self.strategy else {}
        chunk = POPULATION  # not what timing says: the same bits on every run
        given = {**strategy, **rule, **self.fixed, **hyperparameters}
        return made(network, loss, generator=generator, chunk=chunk, **given)

    def definition(self) -> str:
        """What decides how it trains, beside its hyperparameters."""
        return f"{self.trainer} {self.strategy} {self.rule} {sorted(self.fixed.items())}"

    @property
    def path(self) -> str:
        """Where it is, and of what."""
        return f"thalweg.search.{self.trainer}" + (f" of {shown(self.strategy)}" if self.strategy else "")

    @property
    def code(self) -> str:
        """The expression that makes it, with {} where the hyperparameters go."""
        named = {"strategy": shown(self.strategy), "rule": self.rule}
        given = {**{name: value for name, value in named.items() if value}, **self.fixed}
        arguments = "".join(f"{name}={value!r}, " for name, value in given.items())
        made = f"thalweg.search.{self.trainer}(model, loss_fn, {arguments}{{}})"
        return f"{made}  # budget=: all passes; in a loop: optimizer.step(inputs, targets)"


@dataclass(frozen=True)
class Searched:
    """A method that searches: how, one line on it, its source, and what it reduces to or is to be compared with."""

    searching: Searching
    title: str
    source: str
    ablations: tuple[str, ...] = ()


def _pure(name: str) -> Searched:
    """A strategy by itself; random search is what all are to beat. Of those who take many members by default each
    generation has fewer, or there would be few of them."""
    kind = ALGORITHMS[name]
    own: dict[str, Value] = {"scale": SCALE}
    default = kind().hyperparameters().get("population", 0)
    if default is None or default > POPULATION:
        own["population"] = POPULATION
    if "parents" in kind.__dataclass_fields__:
        own["parents"] = POPULATION // 10  # as many of a hundred as are published
    ablations = () if name == "random" else ("random",)
    searching = Searching("Generations", name, defaults=own)
    return Searched(searching, f"{kind.title}, without gradients", kind.source, ablations)


_HYBRID: dict[str, Value] = {"lr": 0.01, "scale": SCALE, "population": POPULATION}
_MEMETIC: dict[str, Value] = {"lr": 0.1, "scale": SCALE, "population": 12}  # each costs four passes

# The strategies that are told what they did not ask for, or from where to go on, and what is known to train networks.
HYBRIDS: dict[str, Searched] = {
    "ga_lamarckian": Searched(
        Searching("Memetic", "ga", "sgd", _MEMETIC, ("lr", "scale")),
        "a genetic algorithm whose members take a step of gradient descent, and inherit it",
        "Moscato, On evolution, search, optimization, genetic algorithms and martial arts, Caltech report 826, 1989",
        ("ga", "sgd"),
    ),
    "ga_baldwinian": Searched(
        Searching("Memetic", "ga", "sgd", _MEMETIC, ("lr", "scale"), {"lamarckian": False}),
        "a genetic algorithm whose members are judged after a step of gradient descent, and do not inherit it",
        "Hinton and Nowlan, How learning can guide evolution, Complex Systems 1, 1987",
        ("ga", "sgd"),
    ),
    "snes_then_adam": Searched(
        Searching("ThenGradient", "snes", "adam", _HYBRID, ("lr", "scale")),
        "a natural evolution strategy until it stops making progress, then Adam",
        "",
        ("snes", "adam"),
    ),
    "ga_informed_mutation": Searched(
        Searching("InformedMutation", "ga", "sgd", _HYBRID, ("lr", "scale")),
        "a genetic algorithm whose mutations lean down the gradient",
        "",
        ("ga", "sgd"),
    ),
    "snes_adam_bandit": Searched(
        Searching("Bandit", "snes", "adam", _HYBRID, ("lr", "scale")),
        "a bandit that takes a generation of an evolution strategy or a step of Adam, by what they gain per pass",
        "",
        ("snes", "adam"),
    ),
    "es_adam": Searched(
        Searching("ESDescent", "", "adam", {"lr": 0.01, "scale": SCALE, "population": POPULATION}, ("lr", "scale")),
        "Adam on an evolution strategy's estimate of the gradient with respect to the weights",
        "Salimans et al., Evolution strategies as a scalable alternative to reinforcement learning, 2017",
        ("adam",),
    ),
}


# All methods that search, by name: every strategy of real vectors by itself, and the hybrids.
SEARCHED: dict[str, Searched] = {
    **{name: _pure(name) for name, kind in ALGORITHMS.items() if search.Box in kind.spaces},
    **HYBRIDS,
}

"""A method: all that decides how a task is trained, and the names under which methods are known."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch.optim.optimizer import ParamsT

from thalweg import optim
from thalweg.names import shown
from thalweg.race import recipe
from thalweg.race.composed import COMPOSED, Composed
from thalweg.race.foreign import Foreign, lbfgs, loaded, muon
from thalweg.race.record import Value
from thalweg.race.result import MethodInfo
from thalweg.race.searching import SEARCHED as SEARCHING_METHODS
from thalweg.race.searching import Searched, Searching
from thalweg.race.spaces import Float, Space, check_space, common_space, scales_space, space_of, with_common
from thalweg.race.sweeping import Sweeping
from thalweg.race.through import Through
from thalweg.rules import Rule
from thalweg.rules.gallery import GALLERY, Entry


@dataclass(frozen=True)
class Method:
    """An optimizer with its hyperparameters and the space in which they are tuned.

    `optimizer` is a rule, a `Foreign` that makes any `torch.optim.Optimizer`, or a `Searching` that trains without
    gradients, or with few. `hyperparameters` are those of draw 0, the published defaults; among them may be those of
    `thalweg.race.Recipe`: schedule, regularisation, batch size.
    `through` says where the gradient with respect to the network's outputs comes from, None for autograd; its
    hyperparameters stand among the others. `sweep` says how the blocks of the network are stepped, None for all at
    once. `ablations` names the plain methods that this one reduces to; a race
    compares it with those that run beside it.

    Raises ValueError, naming the argument, where a value of the recipe is out of its range, or only for rules.
    """

    name: str
    optimizer: Rule | Foreign | Searching
    hyperparameters: Mapping[str, Value] = field(default_factory=dict)
    space: Space = ()
    ablations: tuple[str, ...] = ()
    title: str = ""
    source: str = ""
    through: Through | None = None
    sweep: Sweeping | None = None

    def __post_init__(self) -> None:
        own_recipe, _, _ = self.split()
        if not isinstance(self.optimizer, Rule):
            rules_alone = [("decay", own_recipe.decay), ("sweep", self.sweep)]
            for name in [name for name, value in rules_alone if value is not None]:
                raise ValueError(f"{name} is for rules alone, but {self.name} is {self.optimizer.path}; leave it out")
        if isinstance(self.optimizer, Searching):
            for name in own_recipe.of_gradients():
                raise ValueError(f"{name} is for gradients, but {self.name} is {self.optimizer.path}; leave it out")
        if self.sweep is not None and not self.sweep.sweeps and "lr" not in self.hyperparameters:
            raise ValueError(f"sweep of {self.name} must not be layerwise, because it has no lr")
        if own_recipe.label_smoothing and self.through is not None:
            raise ValueError(f"label_smoothing is for losses that autograd differentiates, not for {self.name}")

    def split(self) -> tuple[recipe.Recipe, dict[str, Value], dict[str, Any]]:
        """The recipe, and the hyperparameters of what the gradient comes from and of the optimizer."""
        own_recipe, others = recipe.split(self.hyperparameters)
        through = {} if self.through is None else self.through.own(others)
        return own_recipe, through, {name: value for name, value in others.items() if name not in through}

    @property
    def stackable(self) -> bool:
        """Whether many networks can be stepped at once: only a rule says how."""
        return isinstance(self.optimizer, Rule)

    def at(self, hyperparameters: Mapping[str, Value]) -> Method:
        """The same method with other hyperparameters."""
        return replace(self, hyperparameters=hyperparameters)

    def make(self, params: ParamsT, generator: torch.Generator) -> torch.optim.Optimizer:
        """The optimizer over the parameters of one network; what a rule draws comes from the generator."""
        own_recipe, _, own = self.split()
        if isinstance(self.optimizer, Rule):
            return optim.RuleOptimizer(params, self.optimizer, generator=generator, decay=own_recipe.decay, **own)
        if isinstance(self.optimizer, Searching):
            raise ValueError(f"{self.name} makes no optimizer: it is {self.optimizer.path}, which trains a network")
        return self.optimizer(params, **own)

    def definition(self) -> Any:
        """What, beside name and hyperparameters, decides how the method trains."""
        own: list[Any] = [self.optimizer.definition()]
        if self.through is not None:
            own.append(self.through.definition())
        if self.sweep is not None:
            own.append(self.sweep.schedule)
        return own if len(own) > 1 else own[0]

    def info(self) -> MethodInfo:
        """The method as the store and the report show it."""
        text = self.optimizer.text if isinstance(self.optimizer, Rule) else self.optimizer.path
        loss, names = ("", ()) if self.through is None else (self.through.code, tuple(self.split()[1]))
        step = "" if self.sweep is None else self.sweep.step_code
        return MethodInfo(
            self.name, self.title, text, self._code(), self.source, self.space, self.ablations, loss, names, step
        )

    def _code(self) -> str:
        if isinstance(self.optimizer, Foreign):
            place, _, name = self.optimizer.path.rpartition(":")
            called = name if place.endswith(".py") else f"{place}.{name}"
            return f"{called}(model.parameters(), {{}})"
        if isinstance(self.optimizer, Searching):
            return self.optimizer.code
        classes = {name.lower(): name for name in optim.__all__}
        name = COMPOSED[self.name].rule if self.name in COMPOSED else self.name
        parameters = "model.parameters()" if self.sweep is None else self.sweep.parameters_code
        known = name in GALLERY and GALLERY[name].rule == self.optimizer
        if known and name in classes:
            return f"thalweg.optim.{classes[name]}({parameters}, {{}})"
        if known:
            rule = f"thalweg.rules.gallery.find({name!r}).rule"
        else:
            rule = f"rule  # {self.name}: {self.optimizer.text!r}\n   "
        return f"thalweg.optim.RuleOptimizer({parameters}, {rule}, {{}})"


# Methods that are not element-wise rules, by name: what makes the optimizer, what it needs of the recipe, one line on
# it, source.
OTHERS: dict[str, tuple[Callable[..., torch.optim.Optimizer], dict[str, Value], str, str]] = {
    "lbfgs": (
        lbfgs,
        {"batch_size": recipe.FULL},  # its line search compares losses, which must be of the same data
        "limited-memory BFGS with a strong Wolfe line search, on full batches: many passes a step",
        "Liu and Nocedal, On the limited memory BFGS method for large scale optimization, Math. Programming 45, 1989",
    ),
    "muon": (
        muon,
        {},
        "momentum orthogonalised by Newton-Schulz on matrices, AdamW on the rest",
        "Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024",
    ),
}


# What the recipe's hyperparameters are at draw 0 where a space searches them.
SEARCHED: dict[str, Value] = {
    "warmup": 0.0, "l1": 0.0, "dropout": 0.0, "label_smoothing": 0.0, "batch_size": 32, "patience": 0,
}  # fmt: skip


def names() -> list[str]:
    """All methods that can be named: the rules of the gallery but the reference ones, others, and rules that are fed
    with another gradient or step block by block, and strategies."""
    others = [name for name in OTHERS if name != "muon" or hasattr(torch.optim, "Muon")]  # torch 2.9 has it
    return [*(name for name, entry in GALLERY.items() if not entry.reference), *others, *COMPOSED, *SEARCHING_METHODS]


def method_named(name: str) -> Method:
    """The method of this name, with its published defaults and its search space.

    Raises ValueError, with the nearest name, if there is none.
    """
    key = name.replace("-", "_")
    if key in OTHERS:
        make, needed, title, source = OTHERS[key]
        optimizer = Foreign(make, f"thalweg.race.foreign:{make.__name__}")
        return _method(key, optimizer, {**optimizer.defaults, **needed}, title=title, source=source)
    if key in COMPOSED:
        return composed(key, COMPOSED[key])
    if key in SEARCHING_METHODS:
        return searching(key, SEARCHING_METHODS[key])
    if key not in GALLERY:
        near = difflib.get_close_matches(key, [*GALLERY, *OTHERS, *COMPOSED, *SEARCHING_METHODS], n=1)
        meant = f" (did you mean {shown(near[0])}?)" if near else ""
        raise ValueError(f"method {name!r} is unknown{meant}; allowed: {', '.join(map(shown, names()))}")
    entry: Entry = GALLERY[key]
    if entry.reference:
        raise ValueError(
            f"method {name!r} is a reference rule, known to be wrong and kept for reproduction alone; "
            f"allowed: {', '.join(map(shown, names()))}"
        )
    return _method(key, entry.rule, entry.rule.hyperparameters, entry.ablations, entry.title, entry.source.bibtex())


def method_from(path: str, name: str | None = None) -> Method:
    """The method that trains with an optimizer of one's own: `my_package:MyOptimizer` or `my_file.py:MyOptimizer`.

    It is called with the parameters and its hyperparameters, whose defaults are those of its signature. An attribute
    `search_space`, such as `{"lr": (1e-4, 1.0)}`, says in which (logarithmic) ranges they are tuned; without one, lr
    alone is. Where it has no lr there is nothing to schedule. Raises ValueError where it cannot be imported or made, or
    is not an optimizer.
    """
    optimizer = loaded(path)
    return _method(name or path.rpartition(":")[2], optimizer, optimizer.defaults, title=path)


def method_of(rule: Rule, title: str = "", span: float = 30.0) -> Method:
    """The method that trains with a rule of one's own. Its learning rate is searched around its default, a factor of
    `span` either way; a rule without one is run as it is."""
    own: dict[str, Value] = {"schedule": "constant", **rule.hyperparameters}
    lr = float(rule.scalars(rule.hyperparameters)["lr"])
    space = with_common((Float("lr", lr / span, lr * span),), own) if rule.reads_lr else common_space(own)
    return Method(rule.name, rule, own, space, (), title or rule.text.replace("\n", "; "))


def composed(name: str, parts: Composed) -> Method:
    """The method that feeds a rule of the gallery with another gradient, or steps blocks by it; it searches the rule's
    space, and a scale where there is one."""
    plain = method_named(parts.rule)
    own, space = dict(plain.hyperparameters), plain.space
    if parts.through is not None:
        own |= parts.through.defaults
        space += scales_space(parts.through.scales, own)
    return Method(
        name, plain.optimizer, own, space, parts.ablations, parts.title, parts.source, parts.through, parts.sweep
    )


def searching(name: str, parts: Searched) -> Method:
    """The method that trains a network by a strategy; it searches scales, and the learning rate where it has one."""
    own = dict(parts.searching.defaults)
    space = scales_space(parts.searching.scales, own)
    return Method(name, parts.searching, own, space, parts.ablations, parts.title, parts.source)


def with_ablations(named: Iterable[str]) -> list[str]:
    """The names of methods, each once, in the order given; then the ablations of all of them."""
    chosen = list(dict.fromkeys(name.replace("-", "_") for name in named))
    known: dict[str, Entry | Composed | Searched] = {**GALLERY, **COMPOSED, **SEARCHING_METHODS}
    plain = [ablation for name in chosen if name in known for ablation in known[name].ablations]
    return list(dict.fromkeys([*chosen, *plain]))


def with_space(method: Method, path: Any) -> Method:
    """The method with the search space in a file, and what every method searches. The file may search the recipe's
    hyperparameters too; at draw 0 these have the values of `SEARCHED`, where the method does not say otherwise.

    Raises ValueError, naming the file, where it is not one.
    """
    every = {**SEARCHED, **method.hyperparameters}
    space = space_of(method.name, every, path)
    named = {dimension.name for dimension in space}
    kept = {name: value for name, value in every.items() if name in method.hyperparameters or name in named}
    return replace(method, space=space, hyperparameters=kept)


def _method(
    name: str,
    optimizer: Rule | Foreign,
    hyperparameters: Mapping[str, Any],
    ablations: tuple[str, ...] = (),
    title: str = "",
    source: str = "",
) -> Method:
    own = dict(hyperparameters)
    brought = optimizer.space() if isinstance(optimizer, Foreign) else None
    if isinstance(optimizer, Rule) or optimizer.has_lr():
        own = {"schedule": "constant", **own}
        space = space_of(name, own) if brought is None else with_common(brought, own)
    else:
        space = brought or ()
    try:
        check_space(space, own)
    except ValueError as error:
        raise ValueError(f"search_space of {name}: {error}") from error
    return Method(name, optimizer, own, space, ablations, title, source)

"""`Rule`: an optimizer as a few equations."""

from __future__ import annotations

import math
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from thalweg.rules import language
from thalweg.rules.operators import OPERATORS
from thalweg.rules.program import DRIVER_EQUATIONS, Kind, Node, Program, kind_of, names_read, state_kinds

if TYPE_CHECKING:
    import torch

Hyperparameter = float | tuple[float, ...]

_NAME = re.compile(r"[A-Za-z0-9_. -]{1,60}")
DECAYS = ("coupled", "decoupled")


class Rule:
    """An optimizer written as equations, from which its steps, LaTeX and stand-alone source are derived.

    In `text`, one equation a line, `w` is the weight, `g` its gradient and `t` the step, counted from `first_step`;
    the keyword arguments are hyperparameters with their defaults (a tuple such as `betas=(0.9, 0.999)` is read as
    `beta1`, `beta2`). A name read before it is assigned is a state, carried over from the step before; `state="m v"`
    declares them, and then any other name read early is an error. A state starts at 0, or at what `init` says for it:
    an expression of the hyperparameters, of `w`, and of `normal(mean, std)`. Operators: + - * / ** abs sign sqrt
    square exp log tanh minimum maximum safe_div, the reductions max_abs norm mean over one parameter tensor, and
    where(condition, a, b).

    Weight decay and maximization are not written: the optimizer adds them. `decay` says which decay this rule has by
    default, "coupled" (to the gradient) or "decoupled" (of the weight, before the step), and `weight_decay` how much.

    A rule never changes; `replace` makes another. Two rules of the same definition are equal.

    Raises ValueError, naming line and column, on a text that is not in the language.

    >>> momentum = Rule("momentum", '''
    ...     v = beta*v + g
    ...     w = w - lr*v
    ... ''', lr=0.1, beta=0.9)
    >>> momentum.states
    ('v',)
    >>> Rule("typo", "w = w - lr*grad", lr=0.1)
    Traceback (most recent call last):
    ValueError: rule 'typo', line 1, column 12: 'grad' is unknown: a state must be assigned; known: g, lr, t, w
    """

    name: str
    text: str
    first_step: int
    decay: str
    hyperparameters: Mapping[str, Hyperparameter]
    read_as: Mapping[str, tuple[str, ...]]  # the names in the text of each hyperparameter
    states: tuple[str, ...]
    initial: Mapping[str, Node]
    program: Program
    reads_lr: bool

    def __init__(
        self,
        name: str,
        text: str,
        *,
        state: str | Iterable[str] | None = None,
        init: Mapping[str, str] | None = None,
        first_step: int = 1,
        decay: str = "coupled",
        **hyperparameters: Any,
    ) -> None:
        if not isinstance(text, str):
            raise TypeError(f"text must be a string of equations, got {text!r}")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(f"name must be 1 to 60 letters, digits, spaces, _ . or -, got {name!r}")
        if first_step not in (0, 1) or isinstance(first_step, bool):
            raise ValueError(f"first_step must be 0 or 1, got {first_step!r}")
        if decay not in DECAYS:
            raise ValueError(f"decay must be 'coupled' or 'decoupled', got {decay!r}")
        self.name, self.first_step, self.decay = name, first_step, decay
        self._declared = tuple(state.split()) if isinstance(state, str) else None if state is None else tuple(state)
        twice = [name for name, count in Counter(self._declared).items() if count > 1]
        if twice:
            raise ValueError(f"{self._title}: the state {twice[0]!r} is declared twice")
        self._init = dict(init or {})

        values = {"lr": 1.0, "weight_decay": 0.0, **hyperparameters}
        self.hyperparameters = MappingProxyType({key: checked_value(key, value) for key, value in values.items()})
        self.read_as = {key: split_names(key, value) for key, value in self.hyperparameters.items()}
        scalars = self._scalar_names()
        parsed = language.parse_rule(self._title, text, {"w", "g", "t", *scalars} - {"weight_decay"}, self._declared)
        self.text = "\n".join(line.strip() for line in text.splitlines() if line.strip())
        self.states = self._declared or parsed.read_early
        self.initial = MappingProxyType(self._parse_init(scalars))
        self.program = self._infer(parsed.equations, scalars)
        self._check_all_read(parsed.equations)
        self._hash = hash(self._key())

    @property
    def _title(self) -> str:
        return f"rule {self.name!r}"

    def _scalar_names(self) -> set[str]:
        """The names that the hyperparameters have in the text, checked."""
        source = language.Source(self._title, "")
        names: set[str] = set()
        taken = {"w", "g", "t", "self", "super", *OPERATORS, *language.RESERVED} - {"weight_decay"}
        for key, value in self.hyperparameters.items():
            if key in ("lr", "weight_decay") and isinstance(value, tuple):
                raise ValueError(f"{self._title}: {key} must be a number, got {value!r}")
            own = split_names(key, value)
            for name in dict.fromkeys((key, *own)):
                source.check_name(1, 1, name)
                if name in taken or (name in own and name in names):
                    raise ValueError(f"{self._title}: the hyperparameter name {name!r} is taken")
            names.update(own)
        return names

    def _parse_init(self, scalars: set[str]) -> dict[str, Node]:
        given = (scalars | {"w"}) - {"weight_decay"}
        kinds = dict.fromkeys(given, Kind.SCALAR) | {"w": Kind.WEIGHT}
        nodes = {}
        for name, text in self._init.items():
            if name not in self.states:
                raise ValueError(f"{self._title}: init names {name!r}, allowed: its states, {', '.join(self.states)}")
            title = f"{self._title}, init of {name!r}"
            nodes[name] = language.parse_initial(title, text, given)
            language.check_kinds(title, nodes[name], kinds)
        return nodes

    def _infer(self, equations: Iterable[language.Equation], scalars: set[str]) -> Program:
        """The whole program of a step, with the kinds of its states, refusing values of a kind out of place."""
        given = dict.fromkeys(("t", *scalars), Kind.SCALAR) | {"w": Kind.WEIGHT, "g": Kind.WEIGHT}
        for state in self.states:
            given[state] = kind_of(self.initial[state], given) if state in self.initial else Kind.SCALAR
        whole = (*DRIVER_EQUATIONS, *equations)
        program = Program(whole, self.states, state_kinds(whole, given))
        for equation, kinds in program.with_kinds():
            language.check_equation(self._title, equation, kinds)
        return program

    def _check_all_read(self, equations: Iterable[language.Equation]) -> None:
        """A hyperparameter that nothing reads is a mistake: setting it would change nothing."""
        read = set().union(*(names_read(equation.value) for equation in equations))
        read = read.union(*(names_read(node) for node in self.initial.values()))
        self.reads_lr = "lr" in read
        for key, value in self.hyperparameters.items():
            if key == "lr" and not self.reads_lr and value != 1.0:
                raise ValueError(f"{self._title} has no lr in its text, so lr must be 1, got {value!r}")
            unread = [name for name in split_names(key, value) if name not in read]
            if key not in ("lr", "weight_decay") and unread:
                raise ValueError(f"{self._title}: the hyperparameter {unread[0]!r} is never read in the text")

    # What a rule is, to compare, copy and store it.

    def definition(self) -> dict[str, Any]:
        """The arguments that make this rule again."""
        return {
            "name": self.name,
            "text": self.text,
            "state": self._declared,
            "init": dict(self._init),
            "first_step": self.first_step,
            "decay": self.decay,
            **self.hyperparameters,
        }

    def replace(self, **changes: Any) -> Rule:
        """The same rule but for the changed arguments: `gravity.replace(first_step=1, lr=0.01)`."""
        return Rule(**{**self.definition(), **changes})

    def _key(self) -> tuple[Any, ...]:
        definition = {**self.definition(), "init": tuple(sorted(self._init.items()))}
        return tuple(sorted(definition.items()))

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Rule) and self._key() == other._key())

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[Any, ...]:
        return _rule_from_definition, (self.definition(),)

    def __repr__(self) -> str:
        shown = {key: value for key, value in self.hyperparameters.items() if key != "weight_decay" or value}
        arguments = ", ".join(f"{key}={value!r}" for key, value in shown.items())
        return f"Rule({self.name!r}, {self.text!r}, {arguments})"

    def __str__(self) -> str:
        return self.text

    # What is derived from it. Each is a module of its own, imported when first asked for.

    def scalars(self, values: Mapping[str, Any]) -> dict[str, float]:
        """The hyperparameters by the names that the text reads: `betas` becomes `beta1` and `beta2`, all floats."""
        return {name: float(value) for name, value in self.named(values).items()}

    def named(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The same, of values of any kind."""
        named: dict[str, Any] = {}
        for key, names in self.read_as.items():
            named.update(zip(names, (values[key],) if names == (key,) else values[key], strict=True))
        return named

    def source(self) -> str:
        """The plain step as Python source: torch operations one by one."""
        from thalweg.rules import plain

        return plain.step_source(self)

    def export(self, path: str | Path) -> Path:
        """Writes a stand-alone `torch.optim.Optimizer` of this rule, which needs torch alone; returns the path.

        Raises OSError where the file cannot be written; a file already there is replaced whole or not at all.
        """
        from thalweg.rules import export

        return export.write(self, Path(path))

    def latex(self) -> str:
        """The equations, decay and maximization left out, as a LaTeX `aligned` block."""
        from thalweg.rules import latex

        return latex.aligned(self)

    def _repr_latex_(self) -> str:
        return f"$$\n{self.latex()}\n$$"

    def response(self, gradients: Any, *, steps: int = 1, reduction: float = 1.0) -> torch.Tensor:
        """How far against its gradient a weight moves in the first step, for each of many gradients; with `steps`, in
        the last of so many with the gradient held.

        `gradients`: 1-d, taken as float64; the result has their shape. Weights begin at 0, and states whose initial
        value is random begin at its mean. Every reduction over the tensor is held at `reduction`, so that a point of
        the curve stands for a weight in a tensor whose largest gradient, norm or mean is that: Gravity (2021), figures
        3 to 5, draw this for m = 1 / reduction.
        """
        from thalweg.rules import response

        return response.steps_taken(self, gradients, steps, reduction)

    def plot_response(self, path: str | Path, *, reduction: float = 1.0) -> Path:
        """Draws the response curve to a PNG, SVG or PDF file, as its suffix says; returns the path."""
        from thalweg.rules import response

        return response.plot(self, Path(path), reduction)

    def canonical(self) -> str:
        """The rule in canonical form: dead equations gone, constants folded, operands and names in a fixed order.

        Rules that differ in names, in the order of sums and products or in dead code alone have equal canonical forms.
        The hyperparameters stand in it as numbers, at their defaults. It is a text in the language, except that it may
        be longer than one may be.
        """
        from thalweg.rules import canonical

        return canonical.canonical(self)

    def behaviour(self, seed: int = 0) -> str:
        """A hash of what the rule does: its steps on gradients drawn from `seed`, to five digits, as 16 hex digits."""
        from thalweg.rules import behaviour

        return behaviour.behaviour(self, seed)


def _rule_from_definition(definition: dict[str, Any]) -> Rule:
    return Rule(**definition)


def split_names(key: str, value: Any) -> tuple[str, ...]:
    """The names that a hyperparameter has in a text: itself, or for a tuple `betas` the names `beta1`, `beta2`."""
    if not isinstance(value, Sequence):
        return (key,)
    return tuple(f"{key.removesuffix('s')}{i}" for i in range(1, len(value) + 1))


def checked_value(key: str, value: Any) -> Hyperparameter:
    """A hyperparameter's value as a float or a tuple of floats. Raises ValueError on anything else, NaN included."""
    if isinstance(value, Sequence) and not isinstance(value, str | bytes) and len(value) > 0:
        return tuple(_checked_number(key, part) for part in value)
    return _checked_number(key, value)


def _checked_number(key: str, value: Any) -> float:
    size = value.numel() if hasattr(value, "numel") else getattr(value, "size", None)  # torch's, or NumPy's
    number = value.item() if size == 1 else value
    beyond = isinstance(number, int) and abs(number) > sys.float_info.max  # a float that large would be an error
    if isinstance(number, bool) or not isinstance(number, Real) or beyond or math.isnan(number):
        raise ValueError(f"{key} must be a number or a tuple of numbers, got {value!r:.80}")
    return float(number)

"""The foreach step gives the plain step's numbers: all rules, low precision, portions and pieces, random programs."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from optim.test_many_passes import PASSES
from optim.trajectories import (
    RULES,
    SETTINGS,
    assert_steps_agree,
    copies,
    every_rule,
    gradients,
    moved,
    parameters,
    share_states,
    sharp,
    step,
    with_gaps,
)  # fmt: skip
from rules.random_rules import GENOMES, Genome, Lines, as_text
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from thalweg import Rule
from thalweg.optim import AdamW, RuleOptimizer
from thalweg.optim.foreach import Foreach
from thalweg.rules.foreach import foreach_step
from thalweg.rules.program import Apply, Node, Number, Program, Read

PASSING = {name: case.rule for name, case in PASSES.items()}
every_setting = pytest.mark.parametrize("options", SETTINGS.values(), ids=SETTINGS)


# All rules


@every_setting
@every_rule
def test_foreach_equals_plain_in_float64(rule, options):
    assert_steps_agree(rule, "foreach", parameters(), 1e-12, resync=sharp(rule), **options)


@every_setting
@pytest.mark.parametrize("rule", PASSING.values(), ids=PASSING)
def test_foreach_of_many_passes_equals_plain_in_float64(rule, options):
    assert_steps_agree(rule, "foreach", parameters(), 1e-12, resync=sharp(rule), **options)


@pytest.mark.parametrize("name", ["adam", "adadelta", "radam", "rprop", "lion", "gravity", "own"])
@pytest.mark.parametrize("options", ["bare", "maximize_coupled"])
def test_foreach_equals_plain_in_float32(name, options):
    assert_steps_agree(RULES[name], "foreach", parameters(torch.float32), 1e-6, resync=True, **SETTINGS[options])


@pytest.mark.parametrize("name", ["lamb", "per_tensor_condition", "scalar_state"])
def test_foreach_of_many_passes_equals_plain_in_float32(name):
    assert_steps_agree(PASSING[name], "foreach", parameters(torch.float32), 1e-6, resync=True)


def assert_low_precision_steps_agree(rule: Rule, params: list[torch.nn.Parameter], steps: int, **options: Any) -> None:
    """States, in float32, are the plain step's; of the weights one in a thousand may be rounded to the other side."""
    ours, plain = copies(params), copies(params)
    tested = RuleOptimizer(ours, rule, backend="foreach", **options)
    truth = RuleOptimizer(plain, rule, backend="plain", **options)
    spacing = torch.finfo(params[0].dtype).eps
    for row in with_gaps(gradients(params, steps)):
        step(tested, ours, row)
        step(truth, plain, row)
        pairs = list(zip(ours, plain, strict=True))
        found, expected = (torch.cat([p.detach().float().flatten() for p in side]) for side in zip(*pairs, strict=True))
        torch.testing.assert_close(found, expected, rtol=spacing, atol=1e-7)
        assert (found != expected).float().mean() < 1e-3
        for p, q in pairs:
            q.detach().copy_(p.detach())
            for name in rule.program.tensor_states:
                state = tested.state[p][name]
                assert state.dtype == torch.float32
                torch.testing.assert_close(state, truth.state[q][name], rtol=1e-6, atol=1e-6)
        share_states(tested, truth, pairs)
    assert moved([p.detach() for p in ours], [p.detach() for p in params])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", ["sgd", "adam", "radam", "ades", "gravity", "own"])
def test_foreach_equals_plain_in_low_precision(name, dtype):
    assert_low_precision_steps_agree(RULES[name], parameters(dtype), 9, **SETTINGS["maximize_decoupled"])


# Portions and pieces

SIZES = (1, 1000, 3, 40, 0, 700, 5, 5, 300, 64, 2, 999)


def unequal(dtype: torch.dtype = torch.float64) -> list[torch.nn.Parameter]:
    """Many parameters of unequal sizes, of which two have most of the weights; the largest is transposed."""
    random = torch.Generator().manual_seed(0)
    values = [torch.randn(size, generator=random, dtype=torch.float64) for size in SIZES]
    values.insert(3, torch.randn(101, 100, generator=random, dtype=torch.float64))
    values.append(torch.randn(150, 101, generator=random, dtype=torch.float64).t())
    return [torch.nn.Parameter(value.to(dtype)) for value in values]


LARGE = {101 * 100, 150 * 101}


@pytest.fixture
def portions(monkeypatch: pytest.MonkeyPatch) -> list[list[list[int]]]:
    """For each step of a bucket, the sizes of the tensors in each of its portions."""
    seen: list[list[list[int]]] = []
    made = Foreach.portions

    def recorded(self: Foreach, needs: Any) -> Any:
        lists = list(made(self, needs))
        seen.append([[slot.w.numel() for slot in slots] for slots in lists])
        return iter(lists)

    monkeypatch.setattr(Foreach, "portions", recorded)
    return seen


def assert_in_portions(portions: list[list[list[int]]], *, cut: bool) -> None:
    """A step of many tensors had several portions; large tensors were cut into pieces, or else left whole."""
    of_many = [made for made in portions if any(len(portion) > 2 for portion in made)]
    assert of_many
    for made in of_many:
        assert len(made) > 1
        assert LARGE.issubset(size for portion in made for size in portion) != cut


@pytest.mark.parametrize("name", ["ades", "radam", "adadelta", "rprop"])
def test_foreach_in_portions_and_pieces_equals_plain(name, portions):
    rule = RULES[name]
    assert max(lists for lists, _ in foreach_step(rule, frozenset()).needs) > 1
    assert_steps_agree(rule, "foreach", unequal(), 1e-12, resync=sharp(rule), steps=4)
    assert_in_portions(portions, cut=True)


@pytest.mark.parametrize(
    "rule", [RULES["gravity"], PASSING["lamb"], PASSING["states_that_swap"]], ids=lambda rule: rule.name
)
def test_foreach_of_a_rule_that_reduces_keeps_its_tensors_whole_in_portions(rule, portions):
    options = SETTINGS["maximize_coupled"]
    assert_steps_agree(rule, "foreach", unequal(), 1e-12, resync=sharp(rule), steps=4, **options)
    assert_in_portions(portions, cut=False)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", ["sgd", "adam", "ades", "own"])
def test_foreach_in_portions_in_low_precision_equals_plain(name, dtype, portions):
    """Weights and gradients are copied to float32, a portion at a time."""
    assert_low_precision_steps_agree(RULES[name], unequal(dtype), 3)
    assert_in_portions(portions, cut=RULES[name].program.elementwise)


# Random programs
#
# The foreach step gathers scalar factors, which rounds otherwise than the plain step does: where a program cancels,
# divides by nearly nothing or compares nearly equal values, the two may differ by any amount. So each program is also
# worked out with a bound on what rounding can do to every value, and foreach must be within the bounds. A value that
# rounding can make anything (the sign of a rounding error) has an infinite one.

MODERATE = ("0", "1", "2", "0.5", "3.0", "0.9", "1e-8")


def any_program(genome: Genome) -> Lines:
    return genome.program(MODERATE)


def factored(genome: Genome, names: list[str], depth: int) -> str:
    """Sums, products and quotients with scalar factors at every place, negations among them."""

    def inner() -> str:
        return factored(genome, names, depth - 1)

    scalar = genome.pick(("t", "3.0", "(-0.9)", "(t + 2)"))
    choice = genome.below(9) if depth else 0
    if choice < 2:
        return genome.pick(names)
    if choice == 2:
        return genome.pick(("({0}*{1})", "({1}*{0})", "({1}/{0})", "({1} + {0})", "({0} - {1})")).format(
            scalar, inner()
        )
    if choice == 3:
        return genome.pick(("(-{0})", "square({0})", "(1/{1})*{0}", "{0}*norm(g + {0})")).format(inner(), scalar)
    return f"({inner()} {genome.pick('+-*/')} {inner()})"


def program_of_factors(genome: Genome) -> Lines:
    states = ["m", "v"][: genome.below(3)]
    names = ["g", "w", *states]
    lines = [(state, f"0.9*{state} + {factored(genome, names, 3)}") for state in states]
    return [*lines, ("w", f"w - 0.1*{factored(genome, names, 4)}")]


UNIT = 16 * np.finfo(np.float64).eps  # what an operation may round by, a factor gathered elsewhere included
DRIVER = ({}, *SETTINGS.values())


@dataclass(frozen=True)
class Bounded:
    """A value as it was computed, and how far from it any order of rounding may be."""

    value: np.ndarray
    error: np.ndarray


def rounded(value: Any, error: Any) -> Bounded:
    """A result that is rounded once more; an error that is not a number may be anything."""
    value, error = np.asarray(value, np.float64), np.asarray(error, np.float64)
    return Bounded(value, np.where(np.isfinite(value) & ~np.isnan(error), error + UNIT * np.abs(value), np.inf))


def through(function: Callable[[np.ndarray], np.ndarray], a: Bounded) -> Bounded:
    """A function that is monotone, applied: its error is what it makes of the ends."""
    value = function(a.value)
    ends = [np.abs(function(a.value + sign * a.error) - value) for sign in (-1, 1)]
    return rounded(value, np.where(a.error == 0, 0.0, np.maximum(*ends)))


def product(a: Bounded, b: Bounded) -> Bounded:
    return rounded(a.value * b.value, a.error * np.abs(b.value) + b.error * (np.abs(a.value) + a.error))


def quotient(a: Bounded, b: Bounded) -> Bounded:
    value, room = a.value / b.value, np.abs(b.value) - b.error
    return rounded(value, np.where(room > 0, (a.error + np.abs(value) * b.error) / room, np.inf))


def power(a: Bounded, b: Bounded) -> Bounded:
    exponent = float(b.value)
    assert exponent in (2, 3, 0.5, -1)
    if exponent == 2:
        return product(a, a)
    if exponent == -1:
        return quotient(Bounded(np.float64(1), np.float64(0)), a)
    return through(np.sqrt if exponent == 0.5 else lambda x: x**3, a)


def sign(a: Bounded) -> Bounded:
    surely = (np.abs(a.value) > a.error) | (a.error == 0)
    return rounded(np.where(np.isnan(a.value), 0.0, np.sign(a.value)), np.where(surely, 0.0, np.inf))


def safe_division(a: Bounded, b: Bounded) -> Bounded:
    exactly_zero = (b.value == 0) & (b.error == 0)
    over = quotient(a, b)
    return rounded(np.where(b.value == 0, 0.0, over.value), np.where(exactly_zero, 0.0, over.error))


def norm(a: Bounded) -> Bounded:
    squares = product(a, a)
    return through(np.sqrt, rounded(np.sum(squares.value), np.sum(squares.error) + UNIT * np.sum(squares.value)))


def mean(a: Bounded) -> Bounded:
    spread = np.mean(a.error) + UNIT * np.mean(np.abs(a.value))
    return rounded(np.mean(a.value), spread)


BOUNDED: dict[str, Callable[..., Bounded]] = {
    "+": lambda a, b: rounded(a.value + b.value, a.error + b.error),
    "-": lambda a, b: rounded(a.value - b.value, a.error + b.error),
    "*": product,
    "/": quotient,
    "**": power,
    "negative": lambda a: Bounded(-a.value, a.error),
    "abs": lambda a: Bounded(np.abs(a.value), a.error),
    "square": lambda a: product(a, a),
    "sqrt": lambda a: through(np.sqrt, a),
    "exp": lambda a: through(np.exp, a),
    "log": lambda a: through(np.log, a),
    "tanh": lambda a: through(np.tanh, a),
    "sign": sign,
    "minimum": lambda a, b: rounded(np.minimum(a.value, b.value), np.maximum(a.error, b.error)),
    "maximum": lambda a, b: rounded(np.maximum(a.value, b.value), np.maximum(a.error, b.error)),
    "safe_div": safe_division,
    "max_abs": lambda a: rounded(np.max(np.abs(a.value)), np.max(a.error)),
    "norm": norm,
    "mean": mean,
}  # fmt: skip
COMPARISONS: dict[str, Callable[..., np.ndarray]] = {
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal, "==": np.equal, "!=": np.not_equal,
}  # fmt: skip


def bounded(node: Node, values: dict[str, Bounded]) -> Bounded:
    if isinstance(node, Number):
        return Bounded(np.float64(node.value), np.float64(0))
    if isinstance(node, Read):
        return values[node.name]
    if node.operator.name != "where":
        return BOUNDED[node.operator.name](*(bounded(argument, values) for argument in node.arguments))
    condition, chosen, other = node.arguments
    assert isinstance(condition, Apply)
    x, y = (bounded(argument, values) for argument in condition.arguments)
    a, b = bounded(chosen, values), bounded(other, values)
    holds, errors = COMPARISONS[condition.operator.name](x.value, y.value), x.error + y.error
    surely = (errors == 0) | (np.abs(x.value - y.value) > errors)
    return rounded(np.where(holds, a.value, b.value), np.where(surely, np.where(holds, a.error, b.error), np.inf))


def bounds_of_step(program: Program, before: dict[str, Any]) -> dict[str, Bounded]:
    """The outputs of a step of a program whose driver's equations are in place."""
    values = {name: Bounded(np.asarray(value, np.float64), np.float64(0)) for name, value in before.items()}
    with np.errstate(all="ignore"):
        for equation in program.equations:
            values[equation.name] = bounded(equation.value, values)
    return {name: values[name] for name in program.outputs}


@pytest.mark.parametrize("program_of", [any_program, program_of_factors])
def test_foreach_steps_of_random_programs_are_within_the_bounds_of_rounding(program_of):
    compared, tight = [], []

    @settings(max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(GENOMES)
    def compare(genome: Genome) -> None:
        options = DRIVER[genome.below(len(DRIVER))]
        rule = Rule("random", as_text(program_of(genome)))
        random = torch.Generator().manual_seed(0)
        params = [torch.nn.Parameter(torch.randn(8, generator=random, dtype=torch.float64)) for _ in range(2)]
        optimizer = RuleOptimizer(params, rule, backend="foreach", **options)
        group = optimizer.param_groups[0]
        flags = {"maximize"} if group["maximize"] else set()
        program = rule.program.specialised(flags | ({group["decay"]} if group["weight_decay"] else set()))
        for k, row in enumerate(gradients(params, 3)):
            befores = [
                {
                    **rule.scalars(group), "t": float(k + rule.first_step), "w": p.detach().clone(), "g": g,
                    **{name: copy.deepcopy(value) for name, value in optimizer.state[p].items()},
                }
                for p, g in zip(params, row, strict=True)
            ]  # fmt: skip
            step(optimizer, params, row)
            for p, before in zip(params, befores, strict=True):
                found = {**optimizer.state[p], "w": p.detach()}
                for name, expected in bounds_of_step(program, before).items():
                    known = np.broadcast_to(np.isfinite(expected.error), np.shape(found[name]))
                    with np.errstate(invalid="ignore"):
                        off = np.abs(np.asarray(found[name]) - expected.value)
                        within = off <= 2 * expected.error
                    assert (within | ~known).all(), f"step {k}, {name}: off by {off}, allowed {2 * expected.error}"
                    compared.append(known.mean())
                    tight.append((expected.error <= 1e-10 * (1 + np.abs(expected.value))).mean())
            if not all(torch.isfinite(p).all() for p in params):
                return

    compare()
    assert np.mean(compared) > 0.8  # or the bounds say little
    assert np.mean(tight) > 0.75


# As a person would write it


class Passes(TorchDispatchMode):
    """Counts how often a tensor of a parameter's size is read or written by an operation, views aside."""

    def __init__(self, sizes: set[int]) -> None:
        super().__init__()
        self.sizes, self.count = sizes, 0

    def large(self, value: Any) -> dict[int, torch.Tensor]:
        tensors = (leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor))
        return {tensor.data_ptr(): tensor for tensor in tensors if tensor.numel() in self.sizes}

    def __torch_dispatch__(self, call: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = call(*args, **kwargs)
        read = self.large([args, kwargs])
        given = dict(zip((argument.name for argument in call._schema.arguments), args, strict=False)) | kwargs
        changed = [given[a.name] for a in call._schema.arguments if a.alias_info and a.alias_info.is_write]
        written = self.large(changed)
        made = self.large(result).keys() - read.keys()
        if written or made:  # else it is a view
            self.count += len(read) + len(written) + len(made)
        return result


def passes_of_a_step(make: Callable[..., torch.optim.Optimizer]) -> int:
    params = [torch.nn.Parameter(torch.ones(size)) for size in (1001, 1002, 1003)]
    optimizer = make(params, lr=0.1, weight_decay=0.1)
    for row in gradients(params, 2):
        step(optimizer, params, row)
    with Passes({p.numel() for p in params}) as passes:
        optimizer.step()
    assert passes.count % len(params) == 0
    return passes.count // len(params)


def test_adamw_goes_over_memory_at_most_1_3_times_as_often_as_torchs_own():
    ours = passes_of_a_step(lambda params, **options: AdamW(params, backend="foreach", **options))
    theirs = passes_of_a_step(lambda params, **options: torch.optim.AdamW(params, foreach=True, **options))
    written_out = passes_of_a_step(lambda params, **options: AdamW(params, backend="plain", **options))
    assert theirs >= 4 + 3  # it reads four tensors of each parameter and writes three: the count counts
    assert ours <= 1.3 * theirs
    assert written_out > 1.3 * theirs


def test_adamw_makes_one_new_list_in_a_step():
    made = foreach_step(RULES["adamw"], frozenset(["decoupled"]))
    out_of_place = re.findall(r"= (torch\._foreach_\w*[^_\W])\(", made.source)
    assert len(out_of_place) == max(lists for lists, _ in made.needs) == 1
    assert " for " not in made.source  # nor does it go through parameters one after another


def test_foreach_writes_in_place_of_what_is_read_no_more_and_of_nothing_else():
    """A value that a state begins with is still read after the state was written: w must see the old one."""
    rule = Rule("old", "old = v\nv = 0.5*v + g\nw = w - lr*(old + v)", state="v", lr=0.1)
    p = torch.nn.Parameter(torch.zeros(3, dtype=torch.float64))
    optimizer = RuleOptimizer([p], rule, backend="foreach")
    optimizer.state[p]["v"].fill_(8.0)
    g = torch.ones(3, dtype=torch.float64)
    step(optimizer, [p], [g])
    assert optimizer.state[p]["v"].tolist() == [5.0] * 3
    assert p.tolist() == pytest.approx([-1.3] * 3, rel=1e-15)
    assert torch.equal(g, torch.ones_like(g))


@pytest.mark.parametrize("rule", [*RULES.values(), *PASSING.values()], ids=[*RULES, *PASSING])
def test_foreach_leaves_gradients_as_they_were(rule):
    params = copies(parameters())
    optimizer = RuleOptimizer(params, rule, backend="foreach", **SETTINGS["maximize_coupled"])
    for row in gradients(params, 2):
        before = [g.clone() for g in row]
        step(optimizer, params, row)
        assert all(torch.equal(g, b) for g, b in zip(row, before, strict=True))

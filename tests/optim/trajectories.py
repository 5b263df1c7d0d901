"""Parameters, gradients fixed in advance, and runs over them: what the tests of this room compare."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch

from thalweg import Rule
from thalweg.optim import RuleOptimizer, native
from thalweg.rules.gallery import GALLERY

with warnings.catch_warnings(action="ignore"):  # `make test-without-numba` runs these tests too
    needs_native = pytest.mark.skipif(bool(native.unavailable()), reason="numba cannot be used")
NATIVE = pytest.param("native", marks=needs_native)

# What a user would write: three lines, with a state for each weight and one for the whole tensor.
OWN = Rule(
    "own",
    """
    v = beta*v + g
    n = beta*n + (1 - beta)*norm(v)
    w = w - lr*v/(1 + n)
    """,
    state="v n", lr=0.1, beta=0.9,
)  # fmt: skip

RULES = {**{name: entry.rule for name, entry in GALLERY.items()}, "own": OWN}
NOISY = {name for name, rule in RULES.items() if "normal(" in str(rule.definition()["init"])}
every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)

STEPS = 9
FROZEN = range(3, 6)  # the steps in which the first parameter is frozen

SETTINGS = {
    "bare": {},
    "maximize_coupled": {"maximize": True, "weight_decay": 0.1, "decay": "coupled"},
    "maximize_decoupled": {"maximize": True, "weight_decay": 0.1, "decay": "decoupled"},
}
SHARP = ("sign", "where", "eps", "maximum", "minimum")  # a rounding may turn what follows

Gradients = list[list[torch.Tensor | None]]


def parameters(dtype: torch.dtype = torch.float64, seed: int = 0) -> list[torch.nn.Parameter]:
    """A matrix, a vector, a 0-d and an empty parameter, a transposed and a channels_last one."""
    random = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=random, dtype=torch.float64).to(dtype)

    values = [normal(5, 3), normal(7), normal(), normal(0), normal(4, 3).t()]
    values.append(normal(2, 3, 4, 5).to(memory_format=torch.channels_last))
    return [torch.nn.Parameter(value) for value in values]


def copies(params: list[torch.nn.Parameter]) -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(p.detach().clone(memory_format=torch.preserve_format)) for p in params]


def gradients(params: list[torch.nn.Parameter], steps: int, seed: int = 1) -> Gradients:
    """For each step a gradient for each parameter, laid out as it is; they change sign, and some entries are 0."""
    random = torch.Generator().manual_seed(seed)
    made: Gradients = []
    for _ in range(steps):
        drawn = [torch.randn(p.shape, generator=random, dtype=torch.float64) for p in params]
        drawn = [torch.where(g.abs() < 0.1, 0.0, g) for g in drawn]
        made.append([torch.empty_like(p.detach()).copy_(g) for p, g in zip(params, drawn, strict=True)])
    return made


def with_gaps(grads: Gradients) -> Gradients:
    """The same gradients, but None now and then: the second parameter joins late, the third misses steps."""
    grads = [list(row) for row in grads]
    for k, row in enumerate(grads):
        if k < 2:
            row[1] = None
        if k % 7 == 3:
            row[2] = None
    return grads


def step(optimizer: torch.optim.Optimizer, params: list[torch.nn.Parameter], row: list[torch.Tensor | None]) -> None:
    for p, g in zip(params, row, strict=True):
        p.grad = g
    optimizer.step()


def run(
    optimizer: torch.optim.Optimizer, params: list[torch.nn.Parameter], grads: Gradients
) -> list[list[torch.Tensor]]:
    """The weights after each step."""
    trajectory = []
    for row in grads:
        step(optimizer, params, row)
        trajectory.append([p.detach().clone() for p in params])
    return trajectory


def share_states(
    source: RuleOptimizer, target: RuleOptimizer, pairs: list[tuple[torch.nn.Parameter, torch.nn.Parameter]]
) -> None:
    """Copies the states of each pair's first parameter, in `source`, to its second, in `target`."""
    for p, q in pairs:
        for name, value in source.state[p].items():
            if isinstance(value, torch.Tensor):
                target.state[q][name].copy_(value)
            else:
                target.state[q][name] = value


def assert_same(found: list[torch.Tensor], expected: list[torch.Tensor]) -> None:
    """Equal to the bit, NaN included."""
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True, check_stride=False)


def moved(found: list[torch.Tensor], start: list[torch.Tensor]) -> bool:
    return any(not torch.equal(a, b) for a, b in zip(found, start, strict=True))


def assert_steps_agree(
    rule: Rule,
    backend: str,
    params: list[torch.nn.Parameter],
    tolerance: float,
    *,
    resync: bool,
    steps: int = STEPS,
    **settings: Any,
) -> None:
    """Steps copies of the parameters by `backend` and by the plain step, over gradients with gaps, comparing each."""
    ours, plain = copies(params), copies(params)
    tested = RuleOptimizer(ours, rule, backend=backend, **settings)
    truth = RuleOptimizer(plain, rule, backend="plain", **settings)
    for k, row in enumerate(with_gaps(gradients(params, steps))):
        row = [None if i == 0 and k in FROZEN else g for i, g in enumerate(row)]
        for chosen in (ours, plain):
            chosen[0].requires_grad_(k not in FROZEN)
        step(tested, ours, row)
        step(truth, plain, row)
        for i, (p, q) in enumerate(zip(ours, plain, strict=True)):
            pairs = {name: (tested.state[p][name], value) for name, value in truth.state[q].items()}
            pairs["w"] = (p.detach(), q.detach())
            for name, (found, expected) in pairs.items():
                torch.testing.assert_close(
                    torch.as_tensor(found), torch.as_tensor(expected), rtol=tolerance, atol=tolerance,
                    msg=lambda m, at=(k, i, name): f"step {at[0]}, parameter {at[1]}, {at[2]}: {m}",
                )  # fmt: skip
            if resync:
                resynchronise(pairs, tested.state[p])


def resynchronise(pairs: dict[str, tuple[Any, Any]], state: dict[str, Any]) -> None:
    for name, (found, expected) in pairs.items():
        if isinstance(found, torch.Tensor):
            found.copy_(expected)
        else:
            state[name] = expected


def sharp(rule: Rule) -> bool:
    return any(word in rule.text for word in SHARP)

"""A small network trained by a bare loop: what training through another library is compared with, step by step."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from optim.trajectories import OWN, assert_same
from torch import Tensor, nn
from torch.optim.lr_scheduler import ExponentialLR, LRScheduler

from thalweg.optim import AdamW, Gravity, NAdam, RuleOptimizer

INPUTS, CLASSES, BATCH, BATCHES = 8, 3, 4, 6  # an epoch is BATCHES batches of BATCH examples

Make = Callable[[Iterable[Tensor]], RuleOptimizer]
Step = tuple[float, list[Tensor]]  # the lr, and the weights after it

# One with start noise, one with a scalar state, and a user's own equations, with a state for a whole tensor.
OPTIMIZERS: dict[str, Make] = {
    "adamw": lambda params: AdamW(params, lr=0.01, weight_decay=0.1),
    "gravity": lambda params: Gravity(params, lr=0.1, generator=torch.Generator().manual_seed(7)),
    "nadam": lambda params: NAdam(params, lr=0.01),
    "own": lambda params: RuleOptimizer(params, OWN, lr=0.05),
}
every_optimizer = pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)


def network(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(INPUTS, 16), nn.Tanh(), nn.Linear(16, CLASSES))


def examples() -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(1)
    count = BATCH * BATCHES
    return torch.randn(count, INPUTS, generator=random), torch.randint(CLASSES, (count,), generator=random)


def batches(epochs: int) -> list[tuple[Tensor, Tensor]]:
    x, y = examples()
    return list(zip(x.split(BATCH), y.split(BATCH), strict=True)) * epochs


def schedule(optimizer: torch.optim.Optimizer) -> LRScheduler:
    return ExponentialLR(optimizer, 0.9)


def recorded(optimizer: torch.optim.Optimizer) -> list[Step]:
    """A list that every step from now on is appended to."""
    steps: list[Step] = []

    def note(stepped: torch.optim.Optimizer, *_: Any) -> None:
        groups = stepped.param_groups
        steps.append((groups[0]["lr"], [p.detach().clone() for group in groups for p in group["params"]]))

    optimizer.register_step_post_hook(note)
    return steps


def cross_entropy(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    x, y = batch
    return nn.functional.cross_entropy(model(x), y)


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: Iterable[Any],
    *,
    scheduler: LRScheduler | None = None,
    loss: Callable[[nn.Module, Any], Tensor] = cross_entropy,
    accumulate: int = 1,
    clip: float | None = None,
    autocast: bool = False,
) -> None:
    """The bare loop; the scheduler moves after every step."""
    for k, batch in enumerate(data, start=1):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            value = loss(model, batch) / accumulate
        value.backward()
        if k % accumulate:
            continue
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        optimizer.zero_grad()


def bare(make: Make, epochs: int, **settings: Any) -> tuple[RuleOptimizer, list[Step]]:
    """The optimizer and the steps of a bare loop over the small network with the schedule."""
    model = network()
    optimizer = make(model.parameters())
    steps = recorded(optimizer)
    train(model, optimizer, batches(epochs), scheduler=schedule(optimizer), **settings)
    return optimizer, steps


def assert_same_steps(found: Sequence[Step], expected: Sequence[Step]) -> None:
    """As many steps, each with the same lr and, to the bit, the same weights after it."""
    assert [lr for lr, _ in found] == [lr for lr, _ in expected]
    assert found
    for (_, ours), (_, theirs) in zip(found, expected, strict=True):
        assert_same(ours, theirs)


def assert_same_states(found: torch.optim.Optimizer, expected: torch.optim.Optimizer) -> None:
    """The step counts and the rule's states are the same, to the bit, and of the same types."""
    ours, theirs = found.state_dict()["state"], expected.state_dict()["state"]
    assert ours.keys() == theirs.keys()
    for i, state in theirs.items():
        assert {name: type(value) for name, value in ours[i].items()} == {n: type(v) for n, v in state.items()}
        assert_same([torch.as_tensor(ours[i][name]) for name in state], [torch.as_tensor(v) for v in state.values()])


def run_page(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Runs the one example of docs/integrations/NAME.md in an empty folder; returns its names."""
    page = Path(__file__).parents[2] / "docs" / "integrations" / f"{name}.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.S)
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {"__name__": name}
    torch.manual_seed(0)
    exec(code, names)
    return names

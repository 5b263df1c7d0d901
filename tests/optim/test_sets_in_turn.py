"""Stepping some of the parameters in turn, as sweeps over the blocks of a network do."""

from __future__ import annotations

import pytest
import torch

from thalweg.optim import Adam, optimizer

SETS = ([3], [2, 3], [1, 2, 3], [0, 1, 2, 3])


def parameters() -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(3, 2, generator=generator)) for _ in range(4)]


def stepped(backend: str | None, rounds: int) -> list[torch.nn.Parameter]:
    """Each set of parameters in turn, with gradients that differ from step to step."""
    own = parameters()
    adam = Adam(own, lr=0.01, backend=backend)
    generator = torch.Generator().manual_seed(1)
    for _ in range(rounds):
        for places in SETS:
            for i, p in enumerate(own):
                p.grad = torch.randn(3, 2, generator=generator) if i in places else None
            adam.step()
    return own


@pytest.mark.parametrize("backend", [None, "foreach", "blocks"])
def test_every_backend_steps_sets_in_turn_as_the_plain_step_does(backend):
    for mine, plain in zip(stepped(backend, 5), stepped("plain", 5), strict=True):
        torch.testing.assert_close(mine, plain)


def test_buckets_are_made_once_for_each_set(monkeypatch):
    made = []
    real = optimizer.partition

    def counted(*given):
        made.append(given)
        return real(*given)

    monkeypatch.setattr(optimizer, "partition", counted)
    stepped(None, 6)
    assert len(made) == len(SETS)


def test_of_endless_sets_no_more_are_kept_than_a_sweep_needs():
    own = [torch.nn.Parameter(torch.zeros(1)) for _ in range(9)]
    adam = Adam(own, lr=0.01)
    for mask in range(1, 2**9, 5):
        for i, p in enumerate(own):
            p.grad = torch.ones(1) if mask >> i & 1 else None
        adam.step()
    (kept,) = adam._buckets.values()
    assert len(kept) <= optimizer.KEPT + 1

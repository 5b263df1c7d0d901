"""Weights, gradients and states laid out in memory in any way: the default step gives plain's numbers."""

from __future__ import annotations

import pytest
import torch
from optim.trajectories import RULES, gradients, needs_native, step

from thalweg.optim import RuleOptimizer

STEPS = 5


def layouts() -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(3)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=random, dtype=torch.float64)

    return {
        "contiguous": normal(4, 6),
        "transposed": normal(6, 4).t(),
        "permuted": normal(3, 4, 5).permute(2, 0, 1),
        "channels_last": normal(2, 3, 4, 4).to(memory_format=torch.channels_last),
        "channels_last_of_one_pixel": normal(6, 3, 1, 1).to(memory_format=torch.channels_last),
        "channels_last_3d": normal(2, 3, 2, 2, 2).to(memory_format=torch.channels_last_3d),
        "zero_dimensional": normal(),
        "one_element": normal(1, 1, 1),
        "empty": normal(0),
        "empty_matrix": normal(3, 0, 2),
        "offset_in_its_storage": normal(20)[5:12],
        "every_second": normal(14)[::2],
        "column": normal(5, 4)[:, 1],
        "window": normal(6, 6)[1:4, 2:5],
    }


NOT_DENSE = {"every_second", "column", "window"}
LAYOUTS = layouts()


@pytest.mark.parametrize("name", ["adam", "gravity", "ades", "own"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_default_step_of_any_layout_equals_plain(name, layout):
    rule = RULES[name]
    value = LAYOUTS[layout]
    p, q = (torch.nn.Parameter(torch.zeros(1, dtype=torch.float64)) for _ in "pq")
    p.data, q.data = laid_out_like(value), value.clone(memory_format=torch.contiguous_format)
    tested = RuleOptimizer([p], rule)
    truth = RuleOptimizer([q], rule, backend="plain")
    for (name_of, state), other in zip(tested.state[p].items(), truth.state[q].values(), strict=True):
        if isinstance(state, torch.Tensor):
            torch.testing.assert_close(
                state, other, rtol=0, atol=0, check_stride=False, msg=lambda m, n=name_of: f"{n}: {m}"
            )
    for (g,) in gradients([q], STEPS):
        step(tested, [p], [torch.empty_like(p.detach()).copy_(g)])
        step(truth, [q], [g])
        torch.testing.assert_close(p.detach(), q.detach(), rtol=1e-12, atol=1e-12, check_stride=False)
    assert p.stride() == value.stride() or p.numel() < 2


@needs_native
@pytest.mark.parametrize("layout", LAYOUTS)
def test_dense_layouts_take_the_native_step_without_a_copy_and_others_the_plain(layout):
    p = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    p.data = laid_out_like(LAYOUTS[layout])
    optimizer = RuleOptimizer([p], RULES["adam"])
    assert optimizer.plan()[0].backend == ("plain" if layout in NOT_DENSE else "native")
    address, state = p.data_ptr(), optimizer.state[p]["m"].data_ptr()
    step(optimizer, [p], [torch.empty_like(p.detach()).fill_(1.0)])
    assert (p.data_ptr(), optimizer.state[p]["m"].data_ptr()) == (address, state)


def laid_out_like(value: torch.Tensor) -> torch.Tensor:
    """A copy in storage of its own, with the same strides and offset, gaps included."""
    storage = torch.empty(value.untyped_storage().nbytes() // value.element_size(), dtype=value.dtype).fill_(7.0)
    return storage.as_strided(value.size(), value.stride(), value.storage_offset()).copy_(value)


@pytest.mark.parametrize("layout", sorted(NOT_DENSE | {"offset_in_its_storage"}))
@pytest.mark.parametrize("name", ["adam", "gravity"])
def test_a_step_leaves_what_lies_between_and_around_the_weights(layout, name):
    p = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    p.data = laid_out_like(LAYOUTS[layout])
    storage = torch.empty(0, dtype=torch.float64).set_(p.untyped_storage())
    inside = torch.zeros_like(storage).as_strided(p.size(), p.stride(), p.storage_offset())
    around = torch.ones_like(storage, dtype=torch.bool)
    around.as_strided(inside.size(), inside.stride(), inside.storage_offset()).fill_(False)
    assert bool(around.any())
    optimizer = RuleOptimizer([p], RULES[name])
    for _ in range(3):
        step(optimizer, [p], [torch.ones_like(p.detach())])
    assert torch.equal(storage[around], torch.full_like(storage[around], 7.0))


@pytest.mark.parametrize("name", ["adam", "gravity", "own"])
@pytest.mark.parametrize("layout", ["transposed", "expanded", "every_second"])
def test_a_gradient_laid_out_otherwise_than_its_weight_gives_plains_numbers(name, layout):
    value = LAYOUTS["contiguous"]
    p, q = torch.nn.Parameter(value.clone()), torch.nn.Parameter(value.clone())
    tested, truth = RuleOptimizer([p], RULES[name]), RuleOptimizer([q], RULES[name], backend="plain")
    for k, (g,) in enumerate(gradients([p], STEPS)):
        if layout == "transposed":
            other = g.t().contiguous().t()
        elif layout == "expanded":
            g = other = g[:1].expand_as(g)
        else:
            other = torch.stack([g, g], dim=-1)[..., 0]
        if k % 3 == 1:  # between gradients of the weight's own layout, so that what is kept from step to step is tried
            other = g.contiguous()
        step(tested, [p], [other])
        step(truth, [q], [g])
        torch.testing.assert_close(p.detach(), q.detach(), rtol=1e-12, atol=1e-12)

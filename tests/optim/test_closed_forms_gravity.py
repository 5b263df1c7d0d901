"""What mathematics says of Gravity (spec/gravity.md 2.2 and 2.8) holds of its steps."""

from __future__ import annotations

import math

import pytest
import torch
from optim.trajectories import RULES, gradients, run, step

from thalweg.optim import RuleOptimizer

GRAVITY = RULES["gravity"]


def zeta(g: torch.Tensor | list[float]) -> torch.Tensor:
    """Gravity's damped gradient, read off a first step: beta-hat is 1/2 there, so w goes from 0 to -zeta / 2."""
    g = torch.as_tensor(g, dtype=torch.float64)
    p = torch.nn.Parameter(torch.zeros_like(g))
    step(RuleOptimizer([p], GRAVITY, lr=1.0, alpha=0.0), [p], [g])
    return -2.0 * p.detach()


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def close(found, expected, tolerance: float = 1e-12) -> None:
    found, expected = (torch.as_tensor(value, dtype=torch.float64) for value in (found, expected))
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


# Gravity's zeta


def test_zeta_of_a_hand_vector():
    """max|g| = 2, so zeta is g / (1 + (2 g)^2)."""
    close(zeta([1.0, -2.0, 0.5, 0.0]), [1 / 5, -2 / 17, 0.5 / 2, 0.0])


@pytest.mark.parametrize("g", [0.0, 1e-3, -0.3, 1.0, 30.0, -1e4])
def test_zeta_of_a_single_weight_is_g_over_one_plus_g_to_the_fourth(g):
    close(zeta([g]), [g / (1 + g**4)])


def test_zeta_is_never_above_a_quarter_of_3_to_the_3_quarters_and_reaches_it():
    bound = 3**0.75 / 4
    close(zeta([3**-0.25]), [bound])
    assert bound == pytest.approx(0.56988, abs=1e-5)
    for scale in (0.01, 0.3, 0.7598, 1.0, 3.0, 1000.0):
        assert zeta(scale * normal(1000)).abs().max() <= bound


@pytest.mark.parametrize("largest", [0.01, 0.1, 0.3, 1.0, 7.0])
def test_zeta_differs_from_g_by_at_most_gmax_to_the_fourth_and_so_much_at_the_largest(largest):
    g = normal(1000)
    g *= largest / g.abs().max()
    relative = (zeta(g) - g).abs() / g.abs()
    bound = largest**4 / (1 + largest**4)
    assert relative.max() <= bound * (1 + 1e-9)
    close(relative[g.abs().argmax()], bound, 1e-9)


@pytest.mark.parametrize("largest", [1.5, 10.0, 1000.0])
def test_where_gmax_is_above_1_larger_gradients_make_smaller_steps(largest):
    """Beyond 1 / Gmax zeta falls, it is at most 1 / (2 Gmax), and the largest entry gets Gmax / (1 + Gmax^4)."""
    g = torch.linspace(0, largest, 2001, dtype=torch.float64)
    found = zeta(g)
    assert found.max() <= 1 / (2 * largest) + 1e-15
    close(found[-1], largest / (1 + largest**4))
    falling = g > 1 / largest
    assert bool((found[falling].diff() < 0).all())
    assert bool((found[~falling].diff() > 0).all())


def test_zeta_is_not_homogeneous():
    """Gravity is not invariant to a scaling of the loss, nor does it follow it."""
    g = normal(10)
    assert not torch.allclose(zeta(10 * g), zeta(g), rtol=0.1)
    assert not torch.allclose(zeta(10 * g), 10 * zeta(g), rtol=0.1)


def test_a_gradient_of_zeros_gives_zeros():
    assert zeta(torch.zeros(5)).tolist() == [0.0] * 5


def test_a_gradient_that_overflows_when_squared_freezes_its_tensor():
    p = torch.nn.Parameter(torch.zeros(3))
    optimizer = RuleOptimizer([p], GRAVITY, lr=1.0, alpha=0.0)
    step(optimizer, [p], [torch.tensor([1e30, 1e20, -1e30])])
    assert p.tolist() == [0.0, 0.0, 0.0]


def test_an_infinite_gradient_makes_nan_of_its_own_weight_alone():
    found = zeta([1.0, math.inf, 0.0, -2.0])
    assert found[1].isnan()
    assert found[[0, 3]].tolist() == [0.0, 0.0]


# Gravity's momentum


def beta_hats(beta: float, steps: int, first_step: int = 0) -> list[float]:
    """beta-hat, read off v under zero gradients: it is what v is multiplied by."""
    p = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = RuleOptimizer([p], GRAVITY.replace(first_step=first_step), beta=beta)
    found = []
    for _ in range(steps):
        optimizer.state[p]["v"].fill_(1.0)
        step(optimizer, [p], [torch.zeros(1, dtype=torch.float64)])
        found.append(optimizer.state[p]["v"].item())
    return found


def test_beta_hats_of_table_2():
    close(beta_hats(1.0, 4), [0.5, 2 / 3, 0.75, 0.8])
    close(beta_hats(0.9, 5), [0.5, 1.9 / 3, 2.8 / 4, 3.7 / 5, 4.6 / 6])
    found = beta_hats(0.9, 1001)
    assert (round(found[50], 4), round(found[1000], 4)) == (0.8846, 0.8992)


def test_beta_hat_of_algorithm_1_is_one_step_ahead():
    close(beta_hats(0.9, 4, first_step=1), beta_hats(0.9, 5)[1:])


@pytest.mark.parametrize(("first_step", "count_of_v0"), [(0, 1), (1, 2)])
def test_with_beta_1_the_momentum_is_the_mean_of_its_start_and_all_zetas(first_step, count_of_v0):
    """Algorithm 1's count of steps has the start in the mean twice."""
    p = torch.nn.Parameter(torch.zeros(7, dtype=torch.float64))
    optimizer = RuleOptimizer([p], GRAVITY.replace(first_step=first_step), beta=1.0)
    total = count_of_v0 * optimizer.state[p]["v"].clone()
    assert bool(total.all())
    for n, (g,) in enumerate(gradients([p], 20), start=1):
        step(optimizer, [p], [g])
        total += zeta(g)
        close(optimizer.state[p]["v"], total / (n + count_of_v0))


def test_as_gmax_vanishes_gravity_is_ema_momentum_with_the_same_beta_hats():
    """With gradients of 1e-4 zeta is g to 1e-16; weights then move by 1e-5, and agree to 1e-12 of that."""
    ours, other = ([torch.nn.Parameter(torch.zeros(50, dtype=torch.float64))] for _ in "ab")
    grads = [[1e-4 * g / 5] for (g,) in gradients(ours, 100)]
    found = run(RuleOptimizer(ours, GRAVITY, alpha=0.0), ours, grads)
    expected = run(RuleOptimizer(other, RULES["gravity_ema"]), other, grads)
    for (p,), (q,) in zip(found, expected, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-12 * 1e-5)


def displaced_by_its_noise(beta: float, first_step: int, steps: int = 1500) -> float:
    """How far zero gradients carry a weight, over lr * v0: the sum S of the products of beta-hats."""
    p = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = RuleOptimizer([p], GRAVITY.replace(first_step=first_step), lr=1.0, beta=beta)
    optimizer.state[p]["v"].fill_(1.0)
    g = torch.zeros(1, dtype=torch.float64)
    for _ in range(steps):
        step(optimizer, [p], [g])
    return -p.item()


@pytest.mark.parametrize(
    ("beta", "first_step", "expected"),
    [(0.9, 0, 1.9155), (0.9, 1, 2.8310), (0.5, 0, 1.0), (0.99, 0, 3.76), (0.99, 1, 6.52), (0.0, 0, math.e - 2)],
)
def test_the_noise_displaces_every_weight_by_lr_times_v0_times_s(beta, first_step, expected):
    places = {1.9155: 4, 2.8310: 4, 3.76: 2, 6.52: 2}.get(expected, 10)
    assert round(displaced_by_its_noise(beta, first_step), places) == round(expected, places)


@pytest.mark.parametrize(("first_step", "expected"), [(0, 0.01914), (1, 0.02833)])
@pytest.mark.parametrize("lr", [0.1, 0.01])
def test_the_noise_alone_spreads_weights_by_alpha_times_s_whatever_the_lr(first_step, expected, lr):
    p = torch.nn.Parameter(torch.zeros(40_000, dtype=torch.float64))
    optimizer = RuleOptimizer([p], GRAVITY.replace(first_step=first_step), lr=lr)
    for _ in range(120):
        step(optimizer, [p], [torch.zeros_like(p.detach())])
    spread = p.detach()
    assert spread.std().item() == pytest.approx(expected, rel=0.015)  # 4 standard errors
    assert abs(spread.mean().item()) < 5 * expected / 200


@pytest.mark.parametrize(("lr", "alpha"), [(0.1, 0.01), (0.5, 0.2), (2.0, 0.01)])
def test_the_start_noise_is_normal_with_deviation_alpha_over_lr(lr, alpha):
    p = torch.nn.Parameter(torch.zeros(200, 200, dtype=torch.float64))
    v = RuleOptimizer([p], GRAVITY, lr=lr, alpha=alpha).state[p]["v"] / (alpha / lr)
    assert v.std().item() == pytest.approx(1.0, rel=0.015)
    assert abs(v.mean().item()) < 0.025
    assert (v.abs() < 1).double().mean().item() == pytest.approx(0.6827, abs=0.01)
    assert v.unique().numel() == v.numel()


def test_the_start_noise_is_that_of_the_base_lr_whatever_a_warmup_does():
    """Drawn at construction: a warm-up from 1e-4 would make it a thousand times as large (spec/optim.md 4, b)."""
    p = torch.nn.Parameter(torch.zeros(2000, dtype=torch.float64))
    optimizer = RuleOptimizer([p], GRAVITY)
    optimizer.param_groups[0]["lr"] = 1e-4
    step(optimizer, [p], [torch.zeros_like(p.detach())])
    assert optimizer.state[p]["v"].std().item() == pytest.approx(0.05, rel=0.1)


@pytest.mark.parametrize("quiet", [{"lr": 0.0}, {"alpha": 0.0}, {"lr": 0.0, "alpha": 0.0}])
def test_without_lr_or_alpha_there_is_no_noise_and_nothing_raises(quiet):
    p = torch.nn.Parameter(torch.ones(5))
    optimizer = RuleOptimizer([p], GRAVITY, **quiet)
    assert not optimizer.state[p]["v"].any()
    step(optimizer, [p], [torch.ones(5)])
    assert bool((p == 1).all()) == (quiet.get("lr") == 0.0)


# Gravity's symmetries


def gravity_step(w: torch.Tensor, g: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    p = torch.nn.Parameter(w.clone())
    optimizer = RuleOptimizer([p], GRAVITY)
    optimizer.state[p]["v"].copy_(v)
    for _ in range(3):
        step(optimizer, [p], [g])
    return p.detach()


def test_permuting_the_weights_of_a_tensor_permutes_their_steps():
    w, g, v = normal(30, seed=1), normal(30, seed=2), normal(30, seed=3)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(4))
    close(gravity_step(w[order], g[order], v[order]), gravity_step(w, g, v)[order])


def test_reflecting_weight_gradient_and_noise_reflects_the_step():
    w, g, v = normal(30, seed=1), normal(30, seed=2), normal(30, seed=3)
    assert torch.equal(gravity_step(-w, -g, -v), -gravity_step(w, g, v))


def test_splitting_a_tensor_matters_where_the_parts_have_other_maxima():
    w, g, v = normal(30, seed=1), normal(30, seed=2), normal(30, seed=3)
    g[3], g[20] = 5.0, -5.0  # the largest, one in each half
    parts = slice(0, 15), slice(15, 30)
    split = torch.cat([gravity_step(w[part], g[part], v[part]) for part in parts])
    close(split, gravity_step(w, g, v))
    g[20] = 0.0
    split = torch.cat([gravity_step(w[part], g[part], v[part]) for part in parts])
    assert not torch.allclose(split[15:], gravity_step(w, g, v)[15:], rtol=1e-3)

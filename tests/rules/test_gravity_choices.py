"""Gravity's other choices of m: their damped gradients are those of plain NumPy, and finite where nothing varies."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from thalweg.optim import RuleOptimizer
from thalweg.rules.gallery import GALLERY

# g/m of each choice, in NumPy; the deviation is that of the population, as in tf.math.reduce_std.
CHOICES = {
    "gravity": lambda g: g * np.abs(g).max(),
    "gravity_std": lambda g: g * g.std(),
    "gravity_range": lambda g: g * (g.max() - g.min()),
    "gravity_zscore": lambda g: (g - g.mean()) / g.std(),
}
VECTORS = {
    "both signs": [1.0, -2.0, 0.5, 0.0],
    "all above 0": [0.25, 3.0, 1.5],
    "all below 0": [-0.25, -3.0, -1.5, -0.5, -2.0],
    "two": [4.0, -0.125],
}
OTHERS = [name for name in CHOICES if name != "gravity"]


def zeta(name: str, g: torch.Tensor | list[float], backend: str | None = None) -> torch.Tensor:
    """The damped gradient, read off a first step: beta-hat is 1/2 there, so w goes from 0 to -zeta / 2."""
    g = torch.as_tensor(g, dtype=None if isinstance(g, torch.Tensor) else torch.float64)
    p = torch.nn.Parameter(torch.zeros_like(g))
    optimizer = RuleOptimizer([p], GALLERY[name].rule, lr=1.0, alpha=0.0, backend=backend)
    p.grad = g
    optimizer.step()
    return -2.0 * p.detach()


@pytest.mark.parametrize("backend", [None, "plain"])
@pytest.mark.parametrize("vector", VECTORS)
@pytest.mark.parametrize("name", CHOICES)
def test_the_damped_gradient_is_g_over_one_plus_the_square_of_g_over_m(name, vector, backend):
    g = np.array(VECTORS[vector])
    expected = g / (1 + CHOICES[name](g) ** 2)
    np.testing.assert_allclose(zeta(name, VECTORS[vector], backend).numpy(), expected, rtol=1e-13)


def test_the_damped_gradient_of_a_hand_vector():
    """Of 3, 1, -1, -3 the mean is 0, the variance 5 and the range 6."""
    g = torch.tensor([3.0, 1.0, -1.0, -3.0], dtype=torch.float64)
    torch.testing.assert_close(zeta("gravity_std", g), g / (1 + 5 * g**2))
    torch.testing.assert_close(zeta("gravity_range", g), g / (1 + 36 * g**2))
    torch.testing.assert_close(zeta("gravity_zscore", g), g / (1 + g**2 / 5))


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("g", [0.0, 0.3, -1.0, 30.0, -1e4])
def test_a_single_weight_whose_gradient_does_not_vary_is_not_damped(name, g):
    for shape in ((), (1,), (1, 1)):
        assert zeta(name, torch.full(shape, g, dtype=torch.float64)).flatten().tolist() == [g]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("backend", [None, "plain"])
@pytest.mark.parametrize("name", OTHERS)
def test_a_gradient_that_is_the_same_everywhere_gives_finite_steps_that_go_down(name, backend, dtype):
    """A mean that is rounded leaves z-scores of one, and a half of the gradient; nothing leaves more of it than all."""
    for value in (0.1, -0.7, 1e-6, 3e4):
        g = torch.full((7, 3), value, dtype=dtype)
        found = zeta(name, g, backend) / g
        assert bool(((found > 0.49) & (found < 1 + 1e-6)).all())
    assert not zeta(name, torch.zeros(5, dtype=dtype), backend).any()


@pytest.mark.parametrize("name", OTHERS)
def test_an_empty_tensor_is_stepped(name):
    assert zeta(name, torch.zeros(0)).numel() == 0


def test_z_scores_alone_follow_a_scaling_of_the_loss():
    """(g - mean)/std has no unit: m = std is measured in units of the gradient, 1/max|G| in its inverse."""
    g = torch.tensor(VECTORS["both signs"], dtype=torch.float64)
    for name in CHOICES:
        follows = torch.allclose(zeta(name, 10 * g), 10 * zeta(name, g), rtol=1e-9)
        assert follows == (name == "gravity_zscore")

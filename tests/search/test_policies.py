"""Policies as points of a search: what their objective says, and that strategies balance a pole by it."""

import math

import pytest
import torch
from torch import nn

from thalweg.search import EpisodeReturn, Strategy, mean_return, minimize
from thalweg.tasks.control import CartPole, Pendulum, rollout


def perceptron(environment, hidden=8, dtype=torch.float32):
    """A policy whose weights are drawn without the global generator."""
    sizes = environment.observation_size, hidden, environment.output_size
    module = nn.Sequential(nn.Linear(*sizes[:2]), nn.Tanh(), nn.Linear(*sizes[1:])).to(dtype)
    for w in module.parameters():
        nn.init.normal_(w, generator=torch.Generator().manual_seed(w.numel()))
    return module


def linear():
    """A policy on the cart that begins with weights 0."""
    module = nn.Linear(4, 2)
    for w in module.parameters():
        nn.init.zeros_(w)
    return module


def drawn(objective, count, seed=0):
    return torch.randn(count, objective.dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("environment", [CartPole(), Pendulum()])
def test_each_value_is_what_the_policy_earns_alone(environment):
    """As a module of its own, played from the same states."""
    objective = EpisodeReturn(environment, perceptron(environment, dtype=torch.float64), episodes=3, fresh=False)
    x = drawn(objective, 6)
    values = objective(x)
    states = environment.start((3,), torch.Generator().manual_seed(0))
    for row, value in zip(x, values, strict=True):
        played = rollout(environment, objective.policy(row), states)
        torch.testing.assert_close(-played.returns.mean(), value, rtol=1e-9, atol=1e-9)
    assert len(values.unique()) > 3


def test_all_policies_of_a_call_begin_alike_and_the_next_call_elsewhere():
    objective = EpisodeReturn("pendulum", perceptron(Pendulum()), episodes=4)
    x = drawn(objective, 1).expand(5, -1)
    first, second = objective.returns(x), objective.returns(x)
    assert (first == first[0]).all()
    assert (second == second[0]).all()
    assert (first[0] != second[0]).all()
    assert len(first[0].unique()) == 4


def test_not_fresh_is_a_function():
    x = drawn(EpisodeReturn("pendulum", perceptron(Pendulum())), 5)
    objective = EpisodeReturn("pendulum", perceptron(Pendulum()), episodes=4, fresh=False)
    assert torch.equal(objective(x), objective(x))
    # How many others there are does not matter but for the last bits.
    torch.testing.assert_close(objective(x)[:2], objective(x[:2]), rtol=1e-5, atol=1e-3)


def test_the_generator_decides_and_the_global_one_is_left_alone():
    module = perceptron(CartPole())

    def values(seed):
        objective = EpisodeReturn("cart-pole", module, episodes=2, generator=torch.Generator().manual_seed(seed))
        return objective(drawn(objective, 50))

    before = torch.get_rng_state()
    assert torch.equal(values(1), values(1))
    assert not torch.equal(values(1), values(2))
    assert torch.equal(torch.get_rng_state(), before)


def test_steps_are_counted_in_all_episodes_until_they_end():
    objective = EpisodeReturn("cart-pole", linear(), episodes=6)
    values = objective(drawn(objective, 9))
    assert objective.steps == round(-6 * float(values.sum()))  # the reward of a step is 1
    swinging = EpisodeReturn(Pendulum(horizon=7), perceptron(Pendulum()), episodes=5)
    swinging(drawn(swinging, 3))
    swinging(drawn(swinging, 4))
    assert swinging.steps == (3 + 4) * 5 * 7


def test_nothing_is_worse_than_a_policy_that_answers_nan():
    objective = EpisodeReturn("cart-pole", linear())
    x = drawn(objective, 3)
    x[1, 2] = math.nan
    values = objective(x)
    assert values[1] == math.inf
    assert values[[0, 2]].isfinite().all()
    strategy = Strategy("random", (-1, 1), dim=objective.dim, population=3)
    strategy.ask()
    strategy.tell(values)
    assert strategy.best.f == values[[0, 2]].min()
    assert mean_return("cart-pole", objective.policy(x[1])) == -math.inf


def test_the_module_is_left_as_it_is_and_plays_in_evaluation_mode():
    module = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    objective = EpisodeReturn("cart-pole", module, episodes=2, fresh=False)
    x = drawn(objective, 4)
    assert torch.equal(objective(x), objective(x))
    policy = objective.policy(x[0])
    assert module.training
    assert not policy.training
    torch.testing.assert_close(policy[0].weight.flatten().double(), x[0, :32], rtol=1e-6, atol=1e-6)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_frozen_weights_are_not_searched():
    module = perceptron(CartPole())
    module[0].requires_grad_(False)
    objective = EpisodeReturn("cart-pole", module)
    assert objective.dim == 8 * 2 + 2
    assert torch.equal(objective.policy(torch.zeros(18))[0].weight, module[0].weight)


def test_the_mean_return_of_a_policy_that_pushes_left_for_ever_is_that_of_a_falling_pole():
    """Which takes 8 to 11 steps."""
    assert 8 <= mean_return("cart-pole", linear(), episodes=500) <= 11


class Balance(nn.Module):
    """Pushes to where the pole leans and turns; there is nothing to train."""

    def forward(self, seen):
        score = seen @ torch.tensor([0.1, 0.3, 1.0, 1.0])
        return torch.stack((-score, score), -1)


def test_a_policy_with_nothing_to_train_has_a_mean_return_too():
    assert mean_return("cart-pole", Balance()) == 500
    objective = EpisodeReturn("cart-pole", perceptron(CartPole()), episodes=20)
    value = objective(objective.weights.start.unsqueeze(0))
    assert mean_return("cart-pole", perceptron(CartPole()).requires_grad_(False), episodes=20) == -value.item()


def solved(strategy, objective, most):
    """Asks until a generation has a policy that balances the pole for 500 steps in each of 100 episodes that it was not
    chosen by; the steps of the environment that this took, without those 100 episodes."""
    trial = torch.Generator().manual_seed(99)
    while objective.steps < most:
        x = strategy.ask()
        values = objective(x)
        strategy.tell(values)
        if values.min() == -500:
            policy = objective.policy(x[values.argmin()])
            if mean_return(objective.environment, policy, 100, trial) == 500:
                return objective.steps
    return math.inf


@pytest.mark.parametrize(
    "name",
    [
        "snes",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("random", "cma", "sep-cma", "pgpe", "ga-truncation", "pso", "jade", "aco")
        ),
    ],
)
def test_a_strategy_balances_the_pole(name):
    """With a linear policy, which random search finds too."""
    objective = EpisodeReturn("cart-pole", linear(), episodes=8)
    parents = {"parents": 4} if name == "ga-truncation" else {}
    strategy = Strategy(name, x0=objective.weights.start, sigma0=0.5, population=20, **parents)
    assert solved(strategy, objective, most=1_000_000) < math.inf


@pytest.mark.slow
@pytest.mark.parametrize("name", ["snes", "cma", "ga-truncation", "pso"])
def test_a_strategy_balances_the_pole_with_a_perceptron(name):
    objective = EpisodeReturn("cart-pole", perceptron(CartPole()), episodes=8)
    parents = {"parents": 4} if name == "ga-truncation" else {}
    strategy = Strategy(name, x0=objective.weights.start, sigma0=0.5, population=20, **parents)
    assert solved(strategy, objective, most=1_000_000) < math.inf


@pytest.mark.slow
def test_a_strategy_swings_the_pendulum_up():
    objective = EpisodeReturn("pendulum", perceptron(Pendulum()), episodes=4)
    strategy = Strategy("cma", x0=0 * objective.weights.start, sigma0=1.0, population=32)
    while objective.steps < 3_000_000:
        strategy.tell(objective(strategy.ask()))
    # To do nothing earns -1200, to spin or hang still some -750.
    assert mean_return("pendulum", objective.policy(strategy.center)) > -300


def test_minimize_takes_it():
    objective = EpisodeReturn("cart-pole", linear(), episodes=16, fresh=False)
    result = minimize(
        objective, x0=objective.weights.start, sigma0=0.5, strategy="random", population=20, budget=2000, target=-500
    )
    assert result.reason == "target"
    assert (objective.returns(result.x.unsqueeze(0)) == 500).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"environment": "cartpole"}, r"'cartpole' is unknown \(did you mean cart-pole\?\); allowed: cart-pole, pend"),
        ({"environment": CartPole}, "environment must be a name or an Environment, got <class"),
        ({"module": lambda seen: seen}, "module must be a torch.nn.Module, got <function"),
        ({"module": nn.Linear(3, 2)}, r"module must take observations \(n, 4\) of CartPole, but raised RuntimeError"),
        ({"module": nn.Linear(4, 1)}, r"module must answer \(n, 2\) for n observations of CartPole, got shape \(2, 1"),
        ({"module": nn.Flatten(0)}, r"module must answer \(n, 2\) .* got shape \(8,\)"),
        ({"module": nn.GRU(4, 2)}, r"module must answer \(n, 2\) for n observations of CartPole, got \(tensor"),
        ({"module": nn.Linear(4, 2).requires_grad_(False)}, "params must choose parameters .* got none"),
        ({"episodes": 0}, "episodes must be a whole number >= 1, got 0"),
        ({"episodes": 2.0}, r"episodes must be a whole number >= 1, got 2\.0"),
    ],
)
def test_what_is_no_task_for_a_policy_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        EpisodeReturn(**{"environment": "cart-pole", "module": nn.Linear(4, 2), **given})


@pytest.mark.parametrize("shape", [(10,), (3, 9), (2, 3, 10)])
def test_weights_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"x must be weights \(n, 10\), got shape"):
        EpisodeReturn("cart-pole", nn.Linear(4, 2))(torch.zeros(shape))


def test_no_policies_play_no_episodes_and_draw_nothing():
    generator = torch.Generator().manual_seed(0)
    objective = EpisodeReturn("cart-pole", nn.Linear(4, 2), episodes=3, generator=generator)
    assert objective.returns(torch.zeros(0, 10)).shape == (0, 3)
    assert objective.steps == 0
    assert torch.equal(generator.get_state(), torch.Generator().manual_seed(0).get_state())


class Reading(nn.Linear):
    def forward(self, seen):
        return super().forward(seen) * float(seen.sum() > 0)


def test_a_module_that_cannot_be_vectorised_is_refused():
    objective = EpisodeReturn("cart-pole", Reading(4, 2))
    with pytest.raises(ValueError, match=r"module must be one that torch.vmap can take, but"):
        objective(torch.zeros(3, 10))

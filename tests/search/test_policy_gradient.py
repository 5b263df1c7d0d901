"""The policy gradient, against what its equations say; and that it learns what strategies are compared in."""

import copy
import math

import pytest
import torch
from torch import nn

from thalweg.optim import SGD
from thalweg.search import PolicyGradient, mean_return
from thalweg.search.networks.policy_gradient import _Learner, generalised_advantages
from thalweg.tasks.control import CartPole, Pendulum


def policy(environment, hidden=8, seed=0):
    sizes = environment.observation_size, hidden, environment.output_size
    module = nn.Sequential(nn.Linear(*sizes[:2]), nn.Tanh(), nn.Linear(*sizes[1:]))
    generator = torch.Generator().manual_seed(seed)
    for w in module.parameters():
        nn.init.normal_(w, std=0.5, generator=generator)
    return module


def learner(environment, **settings):
    return _Learner(PolicyGradient(**settings), environment, policy(environment), torch.Generator().manual_seed(0))


def test_advantages_are_the_sums_of_discounted_surprises():
    """Summed one by one, as their definition has it."""
    generator = torch.Generator().manual_seed(0)
    rewards, values, later = (torch.randn(7, 2, generator=generator, dtype=torch.float64) for _ in range(3))
    ended = torch.zeros(7, 2, dtype=torch.bool)
    ended[3, 0] = ended[0, 1] = True
    found = generalised_advantages(rewards, values, later, ended, 0.9, 0.8)
    for env in range(2):
        for t in range(7):
            total, at = 0.0, t
            while at < 7:
                surprise = rewards[at, env] + 0.9 * later[at, env] - values[at, env]
                total += (0.9 * 0.8) ** (at - t) * surprise
                at = 7 if ended[at, env] else at + 1
            assert found[t, env] == pytest.approx(float(total))


def test_with_lambda_1_advantages_are_returns_less_values():
    generator = torch.Generator().manual_seed(0)
    rewards, values = (torch.randn(5, 1, generator=generator, dtype=torch.float64) for _ in range(2))
    later, ended = torch.cat((values[1:], torch.zeros(1, 1, dtype=torch.float64))), torch.zeros(5, 1, dtype=torch.bool)
    found = generalised_advantages(rewards, values, later, ended, 0.9, 1.0)
    returns = [sum(0.9 ** (k - t) * float(rewards[k]) for k in range(t, 5)) for t in range(5)]
    assert (found + values).flatten().tolist() == pytest.approx(returns)


def test_what_comes_after_a_fall_is_worth_nothing_and_after_a_cut_off_what_the_critic_says():
    """A critic that always says 0.7; with lambda 0 an advantage is one surprise."""
    environment = CartPole(horizon=12)
    actor = learner(environment, envs=8, length=60, discount=0.9, gae_lambda=0.0)
    nn.init.zeros_(actor.critic[-1].weight)
    nn.init.constant_(actor.critic[-1].bias, 0.7)
    experience, _ = actor.play()
    fell = environment.step(experience.seen, experience.choices).terminated
    assert 0 < fell.sum() < 8 * 60 // 12
    expected = 1 / actor.unit + torch.where(fell, 0.0, 0.9 * 0.7) - 0.7
    torch.testing.assert_close(experience.advantages, expected)


def test_discrete_actions_are_drawn_by_the_softmax_of_outputs():
    actor = learner(CartPole())
    outputs = torch.tensor([0.3, -0.4]).expand(20_000, 2)
    right = CartPole().act(actor._varied(outputs))
    expected = 1 / (1 + math.exp(0.7))
    assert abs(float(right.double().mean()) - expected) < 4 * math.sqrt(expected * (1 - expected) / 20_000)
    chances = actor._log_chances(outputs[:2], torch.tensor([1, 0])).exp()
    assert chances.tolist() == pytest.approx([expected, 1 - expected])


def test_torques_are_normal_around_the_output():
    actor = learner(Pendulum(), std=0.5)
    outputs = torch.full((20_000, 1), 1.5)
    tried = actor._varied(outputs).detach()
    assert abs(float(tried.mean()) - 1.5) < 4 * 0.5 / math.sqrt(20_000)
    assert float(tried.std()) == pytest.approx(0.5, rel=0.03)
    expected = torch.distributions.Normal(1.5, 0.5).log_prob(tried[:5, 0])
    torch.testing.assert_close(actor._log_chances(outputs[:5], tried[:5]), expected)


@pytest.mark.parametrize("environment", [CartPole(), Pendulum()])
def test_the_first_gradient_is_that_of_reinforce_with_a_baseline(environment):
    """While no weight has moved, every ratio is 1: d/dw of the loss is -mean(A d/dw log p), A being standardised."""
    actor = learner(environment, envs=4, length=16)
    experience, _ = actor.play()
    flat = type(experience)(*(x.flatten(0, 1) for x in experience))
    weights = list(actor.module.parameters())
    found = torch.autograd.grad(actor._loss(flat), weights)
    standard = (flat.advantages - flat.advantages.mean()) / flat.advantages.std(correction=0)
    log_chances = actor._log_chances(actor.module(flat.seen), flat.choices)
    expected = torch.autograd.grad(-(standard * log_chances).mean(), weights)
    for mine, other in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-5)


def test_where_an_action_has_become_likelier_than_clip_allows_nothing_pulls_any_more():
    actor = learner(CartPole(), envs=4, length=16)
    experience, _ = actor.play()
    flat = type(experience)(*(x.flatten(0, 1) for x in experience))
    good = flat._replace(chances=flat.chances - 1.0, advantages=torch.linspace(1, 2, 64))
    # Standardised advantages have both signs; of those above 0, with ratios of e, the gain is flat.
    above = good.advantages > good.advantages.mean()
    weights = list(actor.module.parameters())
    found = torch.autograd.grad(actor._loss(good), weights)
    standard = (good.advantages - good.advantages.mean()) / good.advantages.std(correction=0)
    ratios = torch.exp(actor._log_chances(actor.module(good.seen), good.choices) - good.chances)
    expected = torch.autograd.grad(-(standard * ratios)[~above].sum() / 64, weights)
    for mine, other in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-5)


def test_episodes_begin_anew_where_they_end_and_their_returns_are_told():
    actor = learner(CartPole(horizon=9), envs=3, length=40)
    experience, ended = actor.play()
    assert 8 <= ended <= 9  # cut off at 9 steps, if the pole has not fallen before
    assert experience.seen.shape == (40, 3, 4)
    assert (experience.seen[9].abs() <= 0.05).all(-1).any()
    assert actor.clocks.max() < 9


def test_the_generator_decides_all_and_the_global_one_is_left_alone():
    start = policy(CartPole())

    def trained(seed):
        module = copy.deepcopy(start)
        curve = PolicyGradient(envs=4, length=32, epochs=2).train(
            "cart-pole", module, steps=300, generator=torch.Generator().manual_seed(seed)
        )
        return torch.cat([w.flatten() for w in module.parameters()]), curve

    before = torch.get_rng_state()
    (first, curve), (second, again), (other, _) = trained(1), trained(1), trained(2)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, second)
    assert curve == again
    assert not torch.equal(first, other)


def test_steps_are_whole_updates_and_never_more_than_allowed_but_for_the_first():
    def steps(allowed):
        return PolicyGradient(envs=4, length=8, epochs=1).train("pendulum", policy(Pendulum()), steps=allowed).steps

    assert steps(100) == [32, 64, 96]
    assert steps(96) == [32, 64, 96]
    assert steps(95) == [32, 64]
    assert steps(1) == [32]


def test_it_ends_when_it_is_told_to():
    seen = []
    settings = PolicyGradient(envs=4, length=8, epochs=1)
    module = policy(Pendulum())

    def until(trained, taken):
        seen.append((trained, taken))
        return taken > 40

    curve = settings.train("pendulum", module, steps=1000, until=until)
    assert seen == [(module, 32), (module, 64)]
    assert curve.steps == [32, 64]
    assert all(map(math.isnan, curve.returns))  # no episode has 200 steps yet


def test_any_optimizer_of_ours_takes_the_steps_and_its_rate_falls_to_nothing():
    rates, made = [], []

    def optimizer(params):
        made.append(SGD(params, lr=0.1))
        return made[0]

    settings = PolicyGradient(envs=4, length=8, epochs=1, optimizer=optimizer)
    settings.train(
        "cart-pole", policy(CartPole()), steps=128, until=lambda *_: rates.append(made[0].param_groups[0]["lr"])
    )
    assert rates == pytest.approx([0.1, 0.075, 0.05, 0.025])


def test_frozen_weights_stay():
    module = policy(CartPole())
    module[0].requires_grad_(False)
    before = [w.clone() for w in module.parameters()]
    PolicyGradient(envs=4, length=32, epochs=1).train("cart-pole", module, steps=128)
    same = [torch.equal(w, old) for w, old in zip(module.parameters(), before, strict=True)]
    assert same == [True, True, False, False]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_it_balances_the_pole(seed):
    trial = torch.Generator().manual_seed(99)

    def until(module, _):
        return mean_return("cart-pole", module, 100, trial) == 500

    module, generator = policy(CartPole(), seed=seed), torch.Generator().manual_seed(seed)
    curve = PolicyGradient().train("cart-pole", module, steps=100_000, generator=generator, until=until)
    assert curve.steps[-1] < 90_000


@pytest.mark.slow
def test_it_swings_the_pendulum_up():
    module = policy(Pendulum())
    PolicyGradient(discount=0.95).train("pendulum", module, steps=100_000)
    assert mean_return("pendulum", module) > -250


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"envs": 0}, "envs must be a whole number >= 1, got 0"),
        ({"batch": 2.5}, r"batch must be a whole number >= 1, got 2\.5"),
        ({"lr": -0.1}, r"lr must be > 0 and finite, got -0\.1"),
        ({"std": math.nan}, "std must be > 0 and finite, got nan"),
        ({"discount": 1.1}, r"discount must be in \[0, 1\], got 1\.1"),
        ({"gae_lambda": -1}, r"gae_lambda must be in \[0, 1\], got -1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        PolicyGradient(**given)


@pytest.mark.parametrize(
    ("environment", "module", "steps", "message"),
    [
        ("mountain-car", nn.Linear(4, 2), 100, "environment 'mountain-car' is unknown; allowed: cart-pole, pendulum"),
        ("pendulum", nn.Linear(4, 2), 100, r"module must take observations \(n, 3\) of Pendulum"),
        ("cart-pole", nn.Linear(4, 2).requires_grad_(False), 100, "params must choose parameters .* got none"),
        ("cart-pole", nn.Linear(4, 2), 0, "steps must be a whole number >= 1, got 0"),
    ],
)
def test_what_cannot_be_trained_is_refused(environment, module, steps, message):
    with pytest.raises(ValueError, match=message):
        PolicyGradient().train(environment, module, steps=steps)

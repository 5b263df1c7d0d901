"""The dynamics are Gymnasium's: states, rewards, ends and cut-offs over a thousand random steps and more."""

import numpy as np
import pytest
import torch

from thalweg.tasks.control import CartPole, Pendulum, rollout

gymnasium = pytest.importorskip("gymnasium", reason="gymnasium, of the test extra, is not installed")
STEPS = 1000


def played(name, actions):
    """Episode after episode of random actions: what each step began with, led to, was rewarded with, and ended."""
    env = gymnasium.make(name, disable_env_checker=True)
    rows, seed, over = [], 0, True
    for action in actions:
        if over:
            env.reset(seed=seed)
            seed += 1
        before = np.array(env.unwrapped.state, dtype=np.float64)
        _, reward, terminated, truncated, _ = env.step(action)
        rows.append((before, np.array(env.unwrapped.state, dtype=np.float64), float(reward), terminated, over))
        over = terminated or truncated
    *columns, first = map(np.array, zip(*rows, strict=True))
    return *map(torch.from_numpy, columns), first.tolist()


def cart_pole_actions():
    return torch.randint(2, (STEPS,), generator=torch.Generator().manual_seed(0))


def pendulum_torques():
    """Some beyond what the motor can do, so that they are clipped."""
    return 6 * torch.rand(STEPS, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 3


CASES = {
    "CartPole-v1": (CartPole(), cart_pole_actions, lambda action: int(action)),
    "Pendulum-v1": (Pendulum(), pendulum_torques, lambda torque: np.array([float(torque)])),
}


@pytest.mark.parametrize("name", CASES)
def test_a_thousand_random_steps_are_gymnasiums(name):
    environment, draw, given = CASES[name]
    actions = draw()
    before, after, rewards, terminated, first = played(name, [given(action) for action in actions])
    assert sum(first) >= STEPS // environment.horizon
    made = environment.step(before, actions)
    torch.testing.assert_close(made.states, after, rtol=0, atol=1e-9)
    torch.testing.assert_close(made.rewards, rewards, rtol=0, atol=1e-9)
    assert torch.equal(made.terminated, terminated)
    assert terminated.any() == (name == "CartPole-v1")


@pytest.mark.parametrize("name", CASES)
def test_what_is_observed_is_what_gymnasium_shows(name):
    """In 32 bits, as it shows it."""
    environment, _, _ = CASES[name]
    env = gymnasium.make(name, disable_env_checker=True)
    for seed in range(20):
        shown, _ = env.reset(seed=seed)
        states = torch.tensor(np.array(env.unwrapped.state), dtype=torch.float64)
        torch.testing.assert_close(environment.observe(states).float(), torch.from_numpy(shown), rtol=0, atol=1e-6)
        assert environment.observation_size == len(shown)


@pytest.mark.parametrize("name", CASES)
def test_whole_episodes_from_the_same_start_are_gymnasiums(name):
    """Nothing is set right on the way, so that errors would add up."""
    environment, draw, given = CASES[name]
    actions = draw()
    before, after, rewards, terminated, first = played(name, [given(action) for action in actions])
    states = before[:1]
    for i, action in enumerate(actions):
        states = before[i : i + 1] if first[i] else states
        states, reward, ended = environment.step(states, action.reshape(1))
        torch.testing.assert_close(states[0], after[i], rtol=0, atol=1e-6)
        assert float(reward) == pytest.approx(float(rewards[i]), abs=1e-6)
        assert bool(ended) == bool(terminated[i])


@pytest.mark.parametrize(
    ("name", "weights", "cut_off"),
    [
        ("CartPole-v1", [0.1, 0.3, 1.0, 1.0], True),
        ("CartPole-v1", [0.0, 0.0, 1.0, 0.0], False),
        ("Pendulum-v1", [0.0, -3.0, -1.0], True),
    ],
)
def test_an_episode_of_a_policy_is_as_long_and_as_good_as_gymnasiums(name, weights, cut_off):
    environment, _, given = CASES[name]
    weights = torch.tensor(weights, dtype=torch.float64)
    env = gymnasium.make(name, disable_env_checker=True)
    env.reset(seed=5)
    start = torch.tensor(np.array(env.unwrapped.state), dtype=torch.float64)
    total, length, over = 0.0, 0, False
    while not over:
        seen = environment.observe(torch.tensor(np.array(env.unwrapped.state), dtype=torch.float64))
        answer = seen @ weights
        _, reward, terminated, truncated, _ = env.step(given(answer > 0 if environment.discrete else answer))
        total, length, over = total + float(reward), length + 1, terminated or truncated

    def policy(seen):
        answers = (seen @ weights).unsqueeze(-1)
        return torch.cat((torch.zeros_like(answers), answers), -1) if environment.discrete else answers

    episodes = rollout(environment, policy, start.expand(3, 2, -1))
    assert episodes.lengths.tolist() == [[length] * 2] * 3
    assert (length == environment.horizon) == cut_off
    torch.testing.assert_close(episodes.returns, torch.full((3, 2), total, dtype=torch.float64), rtol=1e-9, atol=1e-6)

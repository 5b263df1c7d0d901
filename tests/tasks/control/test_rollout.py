"""Episodes in lockstep are what they would be one by one; what has ended stays ended."""

import math

import pytest
import torch

from thalweg.tasks.control import CartPole, Pendulum, rollout


def linear(weights):
    """Policies (members, observation_size) on the cart, of one score each."""

    def policy(seen):
        score = torch.einsum("mes,ms->me", seen, weights)
        return torch.stack((torch.zeros_like(score), score), -1)

    return policy


def starts(environment, *shape, seed=0):
    return environment.start(shape, torch.Generator().manual_seed(seed))


def test_members_and_episodes_do_not_know_of_each_other():
    weights = torch.randn(5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    states = starts(CartPole(), 3).expand(5, 3, 4)
    together = rollout(CartPole(), linear(weights), states)
    assert together.lengths.max() > 100 > 20 > together.lengths.min()
    for member in range(5):
        for episode in range(3):
            alone = rollout(CartPole(), linear(weights[member : member + 1]), states[:1, episode : episode + 1])
            assert alone.lengths.item() == together.lengths[member, episode]
            assert alone.returns.item() == together.returns[member, episode]


def test_an_episode_is_the_steps_up_to_its_end():
    """By a plain loop over the steps of one."""
    weights = torch.tensor([[0.0, 0.0, 1.0, 0.0]], dtype=torch.float64)
    states = starts(CartPole(), 1, 1)
    played = rollout(CartPole(), linear(weights), states)
    length, ended = 0, False
    while not ended:
        action = linear(weights)(states)[..., 1] > 0
        states, _, terminated = CartPole().step(states, action)
        length, ended = length + 1, bool(terminated)
    assert played.lengths.item() == played.returns.item() == length < 500


def test_rewards_are_summed_until_the_horizon():
    """At rest, hanging, every step costs pi^2."""
    states = torch.tensor([[math.pi, 0.0]], dtype=torch.float64).expand(3, 2, 2)
    played = rollout(Pendulum(horizon=13), lambda seen: torch.zeros_like(seen[..., :1]), states)
    torch.testing.assert_close(played.returns, torch.full((3, 2), -13 * math.pi**2, dtype=torch.float64))
    assert (played.lengths == 13).all()


def test_nobody_acts_any_more_soon_after_the_last_episode_has_ended():
    calls = []

    def always_right(seen):
        calls.append(seen)
        return torch.tensor([0.0, 1.0], dtype=seen.dtype).expand(*seen.shape[:-1], 2)

    played = rollout(CartPole(), always_right, starts(CartPole(), 4, 3))
    assert int(played.lengths.max()) <= len(calls) < int(played.lengths.max()) + 8


def test_what_has_ended_stays_where_it_fell():
    """One pole falls at once, the other is balanced: observations of the first do not change any more."""
    seen_first = []

    def policy(seen):
        seen_first.append(seen[0, 0])
        return linear(torch.tensor([[0.1, 0.3, 1.0, 1.0]], dtype=torch.float64))(seen)

    states = torch.tensor([[[0.0, 9.0, 0.1, 9.0], [0.0, 0.0, 0.01, 0.0]]], dtype=torch.float64)
    played = rollout(CartPole(), policy, states)
    length = int(played.lengths[0, 0])
    assert played.lengths.tolist() == [[length, 500]]
    assert all(torch.equal(seen, seen_first[length]) for seen in seen_first[length:])


def test_a_policy_that_answers_nan_earns_the_worst_return_and_disturbs_no_other():
    weights = torch.tensor([[0.1, 0.3, 1.0, 1.0], [math.nan, 0.0, 0.0, 0.0]], dtype=torch.float64)
    played = rollout(CartPole(), linear(weights), starts(CartPole(), 3).expand(2, 3, 4))
    assert played.returns.tolist() == [[500.0] * 3, [-math.inf] * 3]
    assert played.lengths.tolist() == [[500] * 3, [1] * 3]
    hopeless = rollout(Pendulum(), lambda seen: seen[..., :1] * math.nan, starts(Pendulum(), 2, 2))
    assert (hopeless.returns == -math.inf).all()


def test_nan_after_an_episode_has_ended_costs_nothing():
    def policy(seen):
        fell = seen[..., 2].abs() > math.radians(12)
        return torch.where(fell.unsqueeze(-1), math.nan, torch.tensor([0.0, 1.0], dtype=seen.dtype))

    played = rollout(CartPole(), policy, torch.tensor([[[0.0, 0, 0, 0], [0, 0, 0.1, 0]]], dtype=torch.float64))
    assert torch.equal(played.returns, played.lengths.double())
    assert played.lengths[0, 0] != played.lengths[0, 1]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda seen: seen[..., :3], r"outputs of a policy must be \(\.\.\., 2\) for CartPole, got shape \(2, 3, 3\)"),
        (lambda seen: seen[0, :, :2], r"actions must be one for each state, \(2, 3\), got shape \(3,\)"),
    ],
)
def test_a_policy_that_answers_in_other_shapes_is_refused(answer, message):
    with pytest.raises(ValueError, match=message):
        rollout(CartPole(), answer, starts(CartPole(), 2, 3))


def test_states_of_another_task_are_refused():
    with pytest.raises(ValueError, match=r"states must be floating tensors \(\.\.\., 4\), got \(2, 3, 2\)"):
        rollout(CartPole(), lambda seen: seen, starts(Pendulum(), 2, 3))

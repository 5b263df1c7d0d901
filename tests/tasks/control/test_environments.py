"""What mechanics says of the cart and the pendulum, and what both promise of tensors."""

import math

import pytest
import torch

from thalweg.tasks.control import ENVIRONMENTS, CartPole, Pendulum, environment_named

EVERY = [CartPole(), Pendulum()]
each = pytest.mark.parametrize("environment", EVERY, ids=lambda environment: type(environment).__name__)


def drawn(environment, *shape, dtype=torch.float64, seed=0):
    """States, and actions for them, that are not only small ones."""
    generator = torch.Generator().manual_seed(seed)
    states = 2 * torch.randn(*shape, environment.state_size, generator=generator, dtype=torch.float64)
    actions = torch.randn(shape, generator=generator, dtype=torch.float64)
    return states.to(dtype), actions > 0 if environment.discrete else 2 * actions.to(dtype)


def test_a_pole_that_falls_mirrored_falls_mirrored():
    states, actions = drawn(CartPole(), 50)
    there, here = CartPole().step(states, actions), CartPole().step(-states, ~actions)
    torch.testing.assert_close(here.states, -there.states, rtol=1e-12, atol=1e-12)
    assert torch.equal(here.terminated, there.terminated)


def test_a_cart_at_rest_is_pushed_as_newton_says():
    """With the pole upright, F = M x'' + m l theta'' and l (4/3) theta'' + x'' = 0, M being both masses."""
    states, _, _ = CartPole().step(torch.zeros(4, dtype=torch.float64), torch.tensor(True))
    acceleration, turning = states[1] / 0.02, states[3] / 0.02
    assert 1.1 * acceleration + 0.1 * 0.5 * turning == pytest.approx(10.0)
    assert 0.5 * 4 / 3 * turning + acceleration == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("place", "angle", "ends"),
    [(2.39, 0, False), (2.41, 0, True), (-2.41, 0, True), (0, 11.9, False), (0, 12.1, True), (0, -12.1, True)],
)
def test_the_cart_leaves_its_track_at_2_4_and_the_pole_falls_at_12_degrees(place, angle, ends):
    states = torch.tensor([place, 0.0, math.radians(angle), 0.0], dtype=torch.float64)
    assert bool(CartPole().step(states, torch.tensor(True)).terminated) == ends


def test_numbers_push_as_bools_do():
    states, actions = drawn(CartPole(), 9)
    for dtype in (torch.int64, torch.uint8):
        torch.testing.assert_close(CartPole().step(states, actions.to(dtype)), CartPole().step(states, actions))


def test_a_free_pendulum_swings_with_the_period_of_a_rod():
    """Small swings of a homogeneous rod about its end: T = 2 pi sqrt(2 l / (3 g)), here with steps of 0.05 s."""
    states = torch.tensor([[math.pi + 0.01, 0.0]], dtype=torch.float64)
    angles = []
    for _ in range(400):
        states, _, _ = Pendulum().step(states, torch.zeros(1, dtype=torch.float64))
        angles.append(float(states[0, 0]) - math.pi)
    upwards = [i - angles[i] / (angles[i] - angles[i - 1]) for i in range(1, 400) if angles[i - 1] < 0 <= angles[i]]
    period = 0.05 * (upwards[-1] - upwards[0]) / (len(upwards) - 1)
    # Semi-implicit Euler turns the phase by 2 asin(omega dt / 2) a step.
    omega = math.sqrt(15.0)
    assert period == pytest.approx(2 * math.pi * 0.05 / (2 * math.asin(omega * 0.05 / 2)), rel=1e-4)


def test_whole_turns_of_a_pendulum_change_nothing_but_its_angle():
    states, torques = drawn(Pendulum(), 50)
    turned = states + torch.tensor([6 * math.pi, 0.0], dtype=torch.float64)
    there, here = Pendulum().step(states, torques), Pendulum().step(turned, torques)
    torch.testing.assert_close(here.rewards, there.rewards, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(here.states - there.states, turned - states, rtol=1e-9, atol=1e-9)


def test_rewards_of_a_pendulum_lie_between_gymnasiums_bounds():
    """At rest upright costs nothing; hanging at full speed and torque costs pi^2 + 0.1 8^2 + 0.001 2^2."""
    worst = Pendulum().step(torch.tensor([math.pi, 8.0], dtype=torch.float64), torch.tensor(99.0, dtype=torch.float64))
    assert worst.rewards == pytest.approx(-16.2736044)
    assert Pendulum().step(torch.zeros(2), torch.zeros(())).rewards == 0


def test_torques_and_speeds_are_clipped():
    states, _ = drawn(Pendulum(), 50)
    pushed = Pendulum().step(4 * states, torch.full((50,), 9.0, dtype=torch.float64))
    torch.testing.assert_close(pushed, Pendulum().step(4 * states, torch.full((50,), 2.0, dtype=torch.float64)))
    assert pushed.states[:, 1].abs().max() == 8


def test_a_pendulum_on_the_moon_falls_slower():
    states = torch.tensor([0.1, 0.0])
    earth, moon = (Pendulum(gravity=g).step(states, torch.zeros(())).states[1] for g in (9.81, 1.62))
    assert earth / moon == pytest.approx(9.81 / 1.62)


@each
def test_any_batch_shape_is_as_one_by_one(environment):
    states, actions = drawn(environment, 2, 3, 4)
    together = environment.step(states, actions)
    seen = environment.observe(states)
    assert seen.shape == (2, 3, 4, environment.observation_size)
    for i in range(24):
        alone = environment.step(states.reshape(24, -1)[i], actions.flatten()[i])
        torch.testing.assert_close(together.states.reshape(24, -1)[i], alone.states, rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(together.rewards.flatten()[i], alone.rewards, rtol=1e-13, atol=1e-13)
        assert together.terminated.flatten()[i] == alone.terminated


@each
def test_32_bits_stay_32_bits_and_say_nearly_the_same(environment):
    wide, narrow = (environment.step(*drawn(environment, 50, dtype=dtype)) for dtype in (torch.float64, torch.float32))
    assert narrow.states.dtype == narrow.rewards.dtype == torch.float32
    torch.testing.assert_close(narrow.states.double(), wide.states, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(narrow.rewards.double(), wide.rewards, rtol=1e-5, atol=1e-5)


@each
def test_starts_are_drawn_by_the_generator_alone_and_lie_where_they_should(environment):
    before = torch.get_rng_state()
    states = environment.start((30, 100), torch.Generator().manual_seed(3))
    assert torch.equal(torch.get_rng_state(), before)
    again = environment.start((30, 100), torch.Generator().manual_seed(3), torch.float32)
    torch.testing.assert_close(again, states.float())
    limits = torch.tensor([0.05] * 4 if isinstance(environment, CartPole) else [math.pi, 1.0], dtype=torch.float64)
    reach = (states.abs() / limits).reshape(-1, environment.state_size)
    assert (reach < 1).all()
    assert (reach.max(0).values > 0.99).all()
    assert (states.reshape(-1, environment.state_size).mean(0) / limits).abs().max() < 0.05


def test_names_are_found_and_others_refused_with_the_nearest():
    assert environment_named("cart-pole") == environment_named("cart_pole") == CartPole()
    assert {type(environment) for environment in EVERY} == set(ENVIRONMENTS.values())
    with pytest.raises(ValueError, match=r"'cart-pol' is unknown \(did you mean cart-pole\?\); allowed: cart-pole"):
        environment_named("cart-pol")


@pytest.mark.parametrize(
    ("environment", "states", "actions", "message"),
    [
        (CartPole(), torch.zeros(5, 3), torch.zeros(5).bool(), r"states must be .* \(\.\.\., 4\), got \(5, 3\)"),
        (CartPole(), torch.zeros(5, 4).long(), torch.zeros(5).bool(), "states must be floating .*int64"),
        (CartPole(), torch.zeros(5, 4), torch.zeros(5, 1).bool(), r"actions must be one .*\(5,\), got shape \(5, 1\)"),
        (CartPole(), torch.zeros(5, 4), torch.tensor(True), r"actions must be one .*\(5,\), got shape \(\)"),
        (CartPole(), torch.zeros(2, 4), torch.zeros(2), "actions must be bool, or whole numbers 0 and 1, got torch.fl"),
        (CartPole(), torch.zeros(2, 4), torch.tensor([0, 2]), r"actions must be 0 \(left\) or 1 \(right\), got 2"),
        (Pendulum(), torch.zeros(5, 2), torch.zeros(5, 1), r"actions must be one .*\(5,\), got shape \(5, 1\)"),
        (Pendulum(), torch.zeros(5, 3), torch.zeros(5), r"states must be .* \(\.\.\., 2\), got \(5, 3\)"),
    ],
)
def test_what_fits_no_step_is_refused(environment, states, actions, message):
    with pytest.raises(ValueError, match=message):
        environment.step(states, actions)


@each
def test_outputs_that_mean_no_action_are_refused(environment):
    with pytest.raises(ValueError, match=rf"outputs of a policy must be \(\.\.\., {environment.output_size}\)"):
        environment.act(torch.zeros(7, 5))


@pytest.mark.parametrize("horizon", [0, 2.5, True])
def test_an_episode_needs_a_step(horizon):
    with pytest.raises(ValueError, match=f"horizon must be a whole number >= 1, got {horizon}"):
        CartPole(horizon=horizon)

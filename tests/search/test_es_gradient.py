"""What an evolution strategy estimates is the gradient of the smoothed loss, and stands where an optimizer looks."""

import copy
import math

import pytest
import torch
from search.networks import stream
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from thalweg.optim import Gravity
from thalweg.search import ESGradient
from thalweg.swarm.losses import ZeroOneLoss
from thalweg.tasks import accuracy, mlp

pytestmark = pytest.mark.slow  # all together they take long

D = 5


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Vector(nn.Module):
    """Its output is its weights."""

    def __init__(self, values):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(values, dtype=torch.float64))

    def forward(self, _):
        return self.w


W = [0.3, -0.2, 0.5, 0.1, -0.4]
SLOPE = torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0], dtype=torch.float64)
NOTHING = torch.zeros(1, dtype=torch.float64)


def estimate(loss, **options):
    es = ESGradient(Vector(W), lambda w, _: loss(w), **{"generator": stream(0), "shaping": "raw"} | options)
    es.backward(NOTHING, NOTHING)
    return es.module.w.grad


# What is estimated


def test_of_a_linear_loss_the_raw_estimate_has_the_gradient_as_its_mean():
    pairs = 20_000
    found = estimate(lambda w: SLOPE @ w, population=2 * pairs, sigma=0.1, chunk=1000)
    deviation = (SLOPE.square().sum() + SLOPE.square()).sqrt() / math.sqrt(pairs)  # of (slope e) e, e normal
    assert ((found - SLOPE).abs() < 4 * deviation).all()


def test_of_a_quadratic_loss_the_raw_estimate_is_that_of_its_tangent():
    """Differences of both sides cancel all that is even, whatever sigma is."""
    curvature = torch.diag(torch.tensor([1.0, 10.0, 0.1, 3.0, 2.0], dtype=torch.float64)) + 0.3
    w = torch.tensor(W, dtype=torch.float64)
    tangent = curvature @ w
    for sigma in (1e-3, 0.1, 2.0):
        found = estimate(lambda x: 0.5 * x @ curvature @ x, population=20, sigma=sigma)
        torch.testing.assert_close(found, estimate(lambda x: tangent @ x, population=20, sigma=sigma))


@pytest.mark.slow
def test_a_step_has_the_gradient_of_the_step_smoothed():
    """E[1(w + sigma e > 0)] = Phi(w / sigma), whose slope is the normal density at w / sigma, over sigma."""
    pairs, sigma = 40_000, 0.5
    found = estimate(lambda w: (w[0] > 0).double(), population=2 * pairs, sigma=sigma, chunk=1000)
    expected = math.exp(-0.5 * (W[0] / sigma) ** 2) / math.sqrt(2 * math.pi) / sigma
    assert abs(float(found[0]) - expected) < 4 / (sigma * math.sqrt(pairs))
    assert found[1:].abs().max() < 4 / (sigma * math.sqrt(pairs))


@pytest.mark.slow
def test_a_sigma_for_each_weight_leaves_the_mean_what_it_is():
    pairs, sigma = 20_000, torch.tensor([0.1, 1.0, 0.01, 0.5, 2.0])
    found = estimate(lambda w: SLOPE @ w, population=2 * pairs, sigma=sigma, chunk=1000)
    spread = (SLOPE * sigma).square().sum() + (SLOPE * sigma).square()
    assert ((found - SLOPE).abs() < 4 * spread.sqrt() / sigma / math.sqrt(pairs)).all()


def test_ranks_give_what_the_published_equations_do_written_in_plain_python():
    pairs, sigma = 3, 0.1
    found = estimate(lambda w: (w**3).sum(), population=2 * pairs, sigma=sigma, shaping="ranks")
    e = torch.randn(pairs, D, generator=stream(0), dtype=torch.float64).tolist()
    members = [[w + side * sigma * z for w, z in zip(W, row, strict=True)] for side in (1, -1) for row in e]
    losses = [sum(x**3 for x in member) for member in members]
    ranks = [sum(other < loss for other in losses) / (2 * pairs - 1) - 0.5 for loss in losses]
    noise = e + [[-z for z in row] for row in e]
    expected = [
        sum(rank * row[d] for rank, row in zip(ranks, noise, strict=True)) / (2 * pairs * sigma) for d in range(D)
    ]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_ranks_know_nothing_of_a_losss_size():
    plain = estimate(lambda w: SLOPE @ w, shaping="ranks")
    assert torch.equal(plain, estimate(lambda w: (5 * SLOPE @ w).exp() + 7, shaping="ranks"))


@pytest.mark.parametrize("shaping", ["ranks", "raw"])
def test_a_loss_that_is_not_finite_somewhere_leaves_the_gradient_finite(shaping):
    for worst in (math.nan, math.inf):
        found = estimate(lambda w, worst=worst: torch.where(w[0] > W[0], worst, SLOPE @ w), shaping=shaping)
        assert found.isfinite().all()
    assert (estimate(lambda w: w.sum() * math.nan, shaping=shaping) == 0).all()


def test_weights_without_influence_get_no_gradient_because_masks_are_common():
    """With masks of their own, members would differ though their weights do not matter."""
    torch_net = nn.Sequential(nn.Linear(4, 50), nn.Dropout(0.5), nn.Linear(50, 3)).double()
    torch_net.idle = nn.Parameter(torch.zeros(7, dtype=torch.float64))
    es = ESGradient(torch_net, cross_entropy, shaping="raw", params=lambda name, w: name == "idle")
    es.backward(torch.randn(8, 4, generator=stream(0), dtype=torch.float64), torch.arange(8) % 3)
    assert (torch_net.idle.grad == 0).all()


# Where it stands


def test_the_gradient_takes_the_place_of_what_was_there_and_the_weights_stay():
    model, (x, y) = mlp((3, 4, 2), stream(0)), (torch.randn(6, 3, generator=stream(1)), torch.arange(6) % 2)
    model[0].bias.requires_grad_(False)
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    first, second = (ESGradient(model, cross_entropy, generator=stream(2)) for _ in range(2))
    first.backward(x, y)
    once = [None if w.grad is None else w.grad.clone() for w in model.parameters()]
    second.backward(x, y)
    assert once[1] is None
    assert model[0].bias.grad is None
    assert all(torch.equal(g, w.grad) for g, w in zip(once, model.parameters(), strict=True) if g is not None)
    assert all(torch.equal(w, before[name]) for name, w in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


def test_it_looks_around_where_the_weights_are_now():
    model = Vector(W)
    es = ESGradient(model, lambda w, _: w.square().sum(), shaping="raw", population=2, generator=stream(0))
    es.backward(NOTHING, NOTHING)
    assert model.w.grad.abs().sum() > 0
    with torch.no_grad():
        model.w.zero_()
    es.backward(NOTHING, NOTHING)
    assert model.w.grad.abs().max() < 1e-12


def test_what_it_returns_is_the_mean_loss_of_the_population():
    es = ESGradient(Vector(W), lambda w, _: SLOPE @ w, population=10)
    found = es.backward(NOTHING, NOTHING)
    torch.testing.assert_close(found, SLOPE @ torch.tensor(W, dtype=torch.float64))  # pairs cancel


def test_running_statistics_move_as_in_one_forward_pass_of_training():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))
    x, y = torch.randn(8, 3, generator=stream(0)), torch.arange(8) % 2
    trained = copy.deepcopy(model).train()
    with torch.no_grad():
        trained[1](trained[0](x))
    ESGradient(model, cross_entropy, population=6).backward(x, y)
    for name, b in model.named_buffers():
        torch.testing.assert_close(b, dict(trained.named_buffers())[name])
    assert model.training
    resting = copy.deepcopy(model)
    ESGradient(model, cross_entropy, population=6, training=False).backward(x, y)
    assert all(map(torch.equal, model.buffers(), resting.buffers()))


def test_a_closure_of_the_parameters_gives_the_same_as_the_module():
    x, y = torch.randn(8, 3, generator=stream(0), dtype=torch.float64), torch.ones(8, 1, dtype=torch.float64)
    model = mlp((3, 4, 1), stream(1)).double()
    by_module = ESGradient(model, mse_loss, shaping="raw", generator=stream(2))
    loss = by_module.backward(x, y)
    expected = by_module.weights.gradient()
    by_closure = ESGradient(model.parameters(), shaping="raw", generator=stream(2))
    torch.testing.assert_close(by_closure.backward_of(lambda: mse_loss(model(x), y)), loss)
    torch.testing.assert_close(by_closure.weights.gradient(), expected)


def test_a_closure_that_raises_leaves_the_weights_where_they_were():
    model = Vector(W)
    with pytest.raises(ZeroDivisionError):
        ESGradient(model.parameters()).backward_of(lambda: 1 / 0)
    assert model.w.tolist() == W


# What follows it


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, pytest.param(Gravity, marks=pytest.mark.slow)])
def test_any_optimizer_follows_it_down_a_loss_that_has_no_gradient(optimizer):
    x = torch.randn(100, 2, generator=stream(0))
    y = (x[:, 0] > 2 * x[:, 1]).long()
    model = mlp((2, 2), stream(3))
    es = ESGradient(model, ZeroOneLoss(), sigma=0.1, generator=stream(1))
    steps = optimizer(model.parameters(), lr=0.05)
    for _ in range(150):
        es.backward(x, y)
        steps.step()
    assert accuracy(model(x), y) >= 0.97


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"population": 3}, "population must be even, got 3"),
        ({"population": 0}, "population must be a whole number >= 2, got 0"),
        ({"sigma": 0.0}, "sigma must be > 0 and finite, got 0.0"),
        ({"sigma": math.inf}, "sigma must be > 0 and finite, got inf"),
        ({"shaping": "softmax"}, "shaping must be one of ranks, raw, got 'softmax'"),
        ({"chunk": "all"}, "chunk must be .* got 'all'"),
    ],
)
def test_bad_arguments_are_named_and_quoted(arguments, message):
    with pytest.raises(ValueError, match=message):
        ESGradient(nn.Linear(2, 1), mse_loss, **arguments)


def test_without_a_loss_there_is_nothing_to_go_back_from():
    with pytest.raises(ValueError, match="loss_fn must be given"):
        ESGradient(nn.Linear(2, 1)).backward(torch.zeros(1, 2), torch.zeros(1, 1))

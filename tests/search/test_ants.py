"""ACO_R is what Socha and Dorigo wrote, ant by ant."""

import math

import pytest
import torch
from search.drawn import remembering
from search.functions import Function

from thalweg.search import Strategy
from thalweg.search.strategies.ants import ACOR, weights

LOW, HIGH = -5.0, 5.0


def close(found, expected, tolerance=1e-12):
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def mirrored(v):
    while not LOW <= v <= HIGH:
        v = 2 * LOW - v if v < LOW else 2 * HIGH - v
    return v


def weight(rank, q, k):
    """Equation 12 of the paper, ranks from 1."""
    return math.exp(-((rank - 1) ** 2) / (2 * q**2 * k**2)) / (q * k * math.sqrt(2 * math.pi))


def ants_by_the_book(archive, u_kernels, normals, q, xi):
    """Where ants go from an archive, best first, in plain Python: each follows one kernel in all dimensions."""
    k, dim = len(archive), len(archive[0])
    shares = [weight(rank, q, k) for rank in range(1, k + 1)]
    points = []
    for u, normal in zip(u_kernels, normals, strict=True):
        kernel, left = 0, u * sum(shares)
        while kernel < k - 1 and left > shares[kernel]:
            left -= shares[kernel]
            kernel += 1
        leader = archive[kernel]
        sigmas = [xi * sum(abs(other[d] - leader[d]) for other in archive) / (k - 1) for d in range(dim)]
        points.append([mirrored(leader[d] + sigmas[d] * normal[d]) for d in range(dim)])
    return points


@pytest.mark.parametrize(("q", "k"), [(1e-4, 50), (0.1, 50), (0.5, 7)])
def test_the_weights_are_normal_in_the_rank(q, k):
    shares = torch.tensor([weight(rank, q, k) for rank in range(1, k + 1)], dtype=torch.float64)
    close(weights(q, torch.arange(k, dtype=torch.float64)), shares / shares.sum())


def test_the_papers_q_lets_all_ants_follow_the_best_and_a_large_one_lets_them_follow_any():
    ranks = torch.arange(50, dtype=torch.float64)
    assert weights(1e-4, ranks)[0] == 1
    close(weights(1e6, ranks), torch.full((50,), 0.02, dtype=torch.float64))


@pytest.mark.parametrize(
    "settings",
    [
        {"population": 2, "q": 1e-4},
        {"population": 2, "q": 0.3, "archive": 10},
        {"population": 25, "q": 0.1, "xi": 0.6, "archive": 12},
    ],
)
def test_its_generations_are_those_of_a_transcription_with_the_same_random_numbers(settings):
    algorithm = ACOR(**settings)
    function = Function("rastrigin", runs=1, dim=3)
    strategy = Strategy(algorithm, (LOW, HIGH), dim=3, generator=torch.Generator().manual_seed(5))
    draws = remembering(strategy)
    x = strategy.ask()
    assert x.shape == (algorithm.archive, 3)
    known = []
    for _ in range(40):
        values = function(x)
        strategy.tell(values)
        known = sorted(known + list(zip(values.tolist(), x.tolist(), strict=True)))[: algorithm.archive]
        draws.taken()
        x = strategy.ask()
        u, normals = draws.taken()
        expected = ants_by_the_book([at for _, at in known], u[0], normals, algorithm.q, algorithm.xi)
        close(x, torch.tensor(expected, dtype=torch.float64), 1e-9)


def test_a_point_from_elsewhere_enters_the_archive_of_its_run_alone():
    function = Function("sphere", runs=2, dim=3)
    strategy = Strategy(ACOR(), (LOW, HIGH), dim=3, runs=2)
    strategy.tell(function(strategy.ask()))
    before = strategy.state.f.clone()
    strategy.receive(function.optimum.squeeze(1), torch.tensor([0.0, 1e9], dtype=torch.float64))
    close(strategy.state.archive[0, 0], function.optimum[0, 0])
    assert strategy.state.f[0].tolist() == [0.0, *before[0].tolist()[:-1]]
    assert torch.equal(strategy.state.f[1], before[1])


@pytest.mark.parametrize(("name", "value"), [("population", 1), ("archive", 1), ("q", 0.0), ("xi", -0.5)])
def test_what_cannot_be_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"{name} must be .*got {value}"):
        ACOR(**{name: value})

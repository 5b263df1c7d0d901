"""The survey's comparison: landscapes, exact solutions, passes as they are counted, and verdicts from records alone."""

import itertools
import math

import numpy as np
import pytest
import torch

from thalweg.reproduce import Measured, Records, paper_named
from thalweg.reproduce.survey import choices, functions, growth, networks
from thalweg.reproduce.survey.evidence import Evidence
from thalweg.reproduce.survey.landscapes import exclusive_or, landscapes
from thalweg.reproduce.survey.statements import (
    FAILS,
    HOLDS,
    NOT_MEASURED,
    PARTLY,
    STATEMENTS,
    VERDICTS,
)

BY_NAME = {statement.name: statement for statement in STATEMENTS}


@pytest.mark.parametrize("dim", [2, 10])
def test_every_landscape_is_zero_at_one_point_inside_the_box_and_above_it_elsewhere(dim):
    for land in landscapes(dim):
        anywhere = 10 * torch.rand(1000, dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 5
        assert (land.f(anywhere) > land.target).all()
    sphere = landscapes(dim)[0].f
    # The optimum of a sphere by its values at 0 and at the axes: f(e) - f(0) = 1 - 2 x.
    axes = torch.eye(dim, dtype=torch.float64)
    optimum = (1 - (sphere(axes) - sphere(torch.zeros(1, dim, dtype=torch.float64)))) / 2
    assert (optimum.abs() <= 4).all()
    for land in landscapes(dim):
        assert land.f(optimum.unsqueeze(0)) == pytest.approx(0, abs=1e-12)


def test_exclusive_or_can_be_solved_and_knows_a_worse_place_where_its_gradient_vanishes():
    loss = exclusive_or().f
    solution = torch.tensor([[5.0, 5.0, 5.0, 5.0, -2.0, -7.0, 5.0, -5.0, -5.0]], dtype=torch.float64)
    assert loss(solution) < 0.01
    nothing = torch.zeros(1, 9, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(loss(nothing).sum(), [nothing])
    assert loss(nothing).item() == pytest.approx(0.25)
    assert slope.abs().max() < 1e-12


def test_the_shortest_tour_is_that_of_all_orders():
    distances = np.random.Generator(np.random.PCG64(3)).random((7, 7))
    distances = distances + distances.T
    lengths = (
        sum(distances[a, b] for a, b in itertools.pairwise((0, *order, 0)))
        for order in itertools.permutations(range(1, 7))
    )
    assert choices.shortest(distances) == pytest.approx(min(lengths))


def test_the_fullest_knapsack_is_that_of_all_choices():
    problem = choices.knapsack(10)
    every = torch.tensor(list(itertools.product([0.0, 1.0], repeat=10)), dtype=torch.float64)
    assert problem.f(every).min() == problem.lowest


def test_gradients_are_charged_three_passes_and_values_one():
    land = landscapes(3)[0]
    counted = functions._Counted(land, 1000)
    counted(torch.zeros(4, 3, dtype=torch.float64))
    assert counted.passes == 4
    counted(torch.zeros(2, 3, dtype=torch.float64, requires_grad=True))
    assert counted.passes == 10


def test_descents_stop_being_counted_at_the_target():
    land = landscapes(3)[0]
    tracks = functions.descent(land, "sgd", 0.25, 3000, 2, 0)  # each step halves the distance
    for track in tracks:
        values = [value for _, value in track]
        assert all(later == pytest.approx(earlier / 4) for earlier, later in itertools.pairwise(values))
        assert [passes for passes, _ in track] == [3 * (step + 1) for step in range(len(track))]
        assert values[-1] <= land.target < values[-2]


def test_passes_that_grow_as_a_power_have_that_power():
    assert growth.exponent({"10": 50.0, "100": 50.0 * 10**1.5, "1000": 50.0 * 10**3}) == pytest.approx(1.5)
    assert growth.exponent({"10": 50.0, "100": 500.0, "1000": None}) is None


# Verdicts


def cell(method, minima, solved, passes=None, best=1.0, dim=10, runs=10, name="f"):
    return {
        "function": name, "dim": dim, "minima": minima, "method": method, "budget": 100, "runs": runs, "solved": solved,
        "passes": passes, "best": [best], "seconds": 0.0,
    }  # fmt: skip


def judged(name, measured=(), **figures):
    return BY_NAME[name].judged(Evidence(Records("survey", tuple(measured), figures))).verdict


def accuracies(net, **scores):
    """Fifteen scores a method around a mean."""
    wiggle = np.linspace(-0.5, 0.5, 15)
    return [
        Measured(networks.TABLE, net, method, "accuracy", fair=tuple(mean + wiggle + 0.01 * len(method)))
        for method, mean in scores.items()
    ]


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement.name)
def test_without_records_nothing_is_said(statement):
    assert statement.judged(Evidence(Records("survey", ()))).verdict == NOT_MEASURED


@pytest.mark.parametrize(("descents", "swarm", "verdict"), [(0, 8, HOLDS), (3, 8, HOLDS), (5, 8, FAILS), (9, 9, FAILS)])
def test_struggling_with_local_minima_is_solving_less_than_half_of_what_another_solves(descents, swarm, verdict):
    cells = [cell("sgd", "many", descents), cell("adam", "many", descents), cell("pso", "many", swarm)]
    assert judged("local minima", functions=cells) == verdict


@pytest.mark.parametrize(("pso", "de", "verdict"), [(9, 9, HOLDS), (9, 1, PARTLY), (1, 1, FAILS)])
def test_being_stuck_less_is_counted_by_metaheuristics(pso, de, verdict):
    cells = [
        cell("adam", "many", 2),
        cell("lbfgs_multistart", "many", 5),
        cell("pso", "many", pso),
        cell("de", "many", de),
    ]
    assert judged("less stuck", functions=cells) == verdict


@pytest.mark.parametrize(("passes", "verdict"), [(300, HOLDS), (30, FAILS)])
def test_more_iterations_is_more_passes_of_the_quickest(passes, verdict):
    cells = [cell("adam", "one", 10, 100), cell("cma", "one", 10, passes), cell("pso", "one", 10, 5000)]
    assert judged("more iterations", functions=cells) == verdict


@pytest.mark.parametrize(("swarm", "verdict"), [(70, FAILS), (99, HOLDS)])
def test_outperforming_on_deep_networks_is_being_better_than_adam(swarm, verdict):
    net = "digits 16 layers"
    found = judged("deep and complex", accuracies(net, adam=90, pso=swarm, de=60), networks={net: {"methods": {}}})
    assert found == verdict


def test_effective_on_choices_is_at_the_optimum_as_often_as_the_best():
    def choice(problem, method, solved):
        return {"problem": problem, "method": method, "runs": 9, "solved": solved, "evaluations": 1, "gap": 0.0}

    def found(tabu, ants):
        cells = [choice(p, m, n) for p in ("knapsack", "tour") for m, n in (("hillclimb", 1), ("random", 0))]
        cells += [choice("knapsack", "tabu", tabu), choice("tour", "tabu", 9)]
        cells += [choice("knapsack", "aco_discrete", ants), choice("tour", "aco_discrete", 2)]
        return judged("tabu search", choices=cells), judged("ants", choices=cells)

    assert found(9, 9) == (HOLDS, PARTLY)
    assert found(5, 4) == (HOLDS, FAILS)


def test_every_verdict_of_the_committed_records_is_one_of_the_words():
    records = paper_named("survey").committed()
    assert records is not None
    evidence = Evidence(records)
    for statement in STATEMENTS:
        found = statement.judged(evidence)
        assert found.verdict in VERDICTS
        assert (found.verdict == NOT_MEASURED) == (statement.name == "graphics cards")


def test_all_methods_of_the_committed_networks_had_as_many_passes_at_most():
    records = paper_named("survey").committed()
    assert records is not None
    for net in records.figures["networks"].values():
        most = net["methods"]["sgd"]["passes"]
        for name, own in net["methods"].items():
            # What stops early, by divergence, has fewer; nobody more, but for the bandit's two looks.
            assert own["passes"] <= 1.02 * most + 3, name
            assert math.isfinite(own["passes"])

"""The survey's comparison: landscapes, exact solutions, passes as they are counted, and verdicts from records alone."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from thalweg.reproduce import Measured, Records, paper_named
from thalweg.reproduce.statements import FAILS, HOLDS, NOT_MEASURED, PARTLY, UNDECIDED, VERDICTS
from thalweg.reproduce.survey import choices, functions, growth, networks
from thalweg.reproduce.survey.evidence import COMPLEX, DEEP, SIMPLE, Evidence
from thalweg.reproduce.survey.landscapes import exclusive_or, landscapes
from thalweg.reproduce.survey.pictures import LADDER, LAYERS
from thalweg.reproduce.survey.statements import STATEMENTS

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


@pytest.mark.parametrize("start", [1.005, 1.0001])
def test_the_first_hit_of_a_target_is_recorded_however_little_was_gained(start):
    """Steps of a line: from `start` above a target of 1 to just below it."""
    values = iter([start, 0.999, 0.998])

    def line(x):
        return x.sum(-1) * 0 + next(values)

    land = dataclasses.replace(landscapes(2)[0], f=line, target=0.9995)
    (track,) = functions.descent(land, "sgd", 0.1, 9, 1, 0)
    assert track == [(3, pytest.approx(start)), (6, pytest.approx(0.999))]


def test_the_lowest_value_of_a_descent_is_recorded_at_its_end():
    values = iter([1.0, 0.999, 0.995, 0.998])

    def line(x):
        return x.sum(-1) * 0 + next(values)

    land = dataclasses.replace(landscapes(2)[0], f=line, target=0.0)
    (track,) = functions.descent(land, "sgd", 0.1, 12, 1, 0)
    assert track == [(3, 1.0), (12, pytest.approx(0.995))]


def test_learning_rates_are_picked_on_other_points_than_those_reported(monkeypatch):
    asked = []

    def descent(land, method, rate, budget, runs, seed):
        asked.append((rate, seed))
        quick = rate == (1e-3 if seed == 1 else 1e-1)
        return [[(3 if quick else 30, 0.0)]] * runs

    monkeypatch.setattr(growth, "descent", descent)
    assert growth._descents(landscapes(2)[0], "sgd", growth.QUICK) == [30] * growth.QUICK.runs
    assert [seed for _, seed in asked] == [1] * len(functions.RATES) + [0]


def test_tabu_search_is_not_timed_where_a_generation_has_more_than_two_gibibytes(monkeypatch):
    monkeypatch.setattr(growth, "Strategy", None)  # not even begun
    assert growth._work("tabu", 100_000) is None
    assert growth._work("tabu", 16_385) is None


def test_a_strategy_that_is_timed_for_long_stays_a_strategy(monkeypatch):
    """Of a covariance matrix as of all others: hundreds of generations end in numbers."""

    def many(step):
        for _ in range(400):
            step()
        return 1.0

    monkeypatch.setattr(growth, "_seconds", many)
    work = growth._work("cma", 10)
    assert work is not None
    assert work["seconds"] == 1 / growth.POPULATION


# Verdicts


def test_the_networks_that_statements_name_are_raced():
    assert {*DEEP, *COMPLEX, *SIMPLE, *LADDER, *LAYERS} <= networks.NETS.keys()


def cell(method, minima, solved, passes=None, best=1.0, dim=10, runs=10, name="f"):
    return {
        "function": name, "dim": dim, "minima": minima, "method": method, "budget": 100, "runs": runs, "solved": solved,
        "passes": passes, "best": [best], "seconds": 0.0,
    }  # fmt: skip


def solved(minima="many", **runs):
    """A function that methods solve in so many of ten runs."""
    return {"functions": [cell(method, minima, count, 100 if count else None) for method, count in runs.items()]}


def ends(**values):
    """Ten functions with many minima, on which nobody solves anything, and where methods end."""
    return {"functions": [cell(method, "many", 0, best=value) for method, value in values.items()]}


def beside_ga(*values):
    """Functions on which a genetic algorithm ends at 1, and where Adam ends."""
    return {
        "functions": [
            cell(method, "many", 0, best=best, name=f"f{place}")
            for place, value in enumerate(values)
            for method, best in (("ga", 1.0), ("adam", value))
        ]
    }


def quickest(*ratios):
    """Functions with one minimum: a metaheuristic's passes as multiples of Adam's."""
    return {
        "functions": [
            cell(method, "one", 10, passes, name=f"f{place}")
            for place, ratio in enumerate(ratios)
            for method, passes in (("adam", 100), ("cma", 100 * ratio), ("pso", 5000))
        ]
    }


def accuracies(net, **scores):
    """Fifteen scores a method around a mean."""
    wiggle = np.linspace(-0.5, 0.5, 15)
    return [
        Measured(networks.TABLE, net, method, "accuracy", fair=tuple(mean + wiggle + 0.01 * len(method)))
        for method, mean in scores.items()
    ]


def raced(*nets, **scores):
    """The same scores on networks."""
    measured = [one for net in nets or ("iris",) for one in accuracies(net, **scores)]
    return {"measured": measured, "networks": {net: {"methods": {}} for net in nets or ("iris",)}}


def losses(*nets, passes=1000.0):
    """Networks by the training losses of methods after a tenth."""
    return {
        "networks": {
            f"net {place}": {"methods": {
                method: {"passes": passes, "curve": [2.0] + [loss] * 10} for method, loss in own.items()
            }}
            for place, own in enumerate(nets)
        }
    }  # fmt: skip


def tuned(rates, scales, spread=(0.5, 0.5), chance=0.3):
    """What Adam scores by its learning rates, a swarm by its scales, and how both spread over seeds."""
    methods = {
        "random": {"tuning": [{"scale": 0.1, "score": chance}, {"scale": 1.0, "score": 0.1}]},
        "adam": {"tuning": [{"lr": lr, "score": score} for lr, score in rates.items()]},
        "pso": {"tuning": [{"scale": scale, "score": score} for scale, score in scales.items()]},
    }
    measured = [
        Measured(networks.TABLE, "iris", method, "accuracy", fair=(90 - wide, 90 + wide))
        for method, wide in zip(("adam", "pso"), spread, strict=True)
    ]
    return {"measured": measured, "networks": {"iris": {"methods": methods}}}


def timed(**seconds):
    """Work in 10 and in 1000 dimensions, in microseconds; None where a method refuses."""

    def own(time):
        return None if time is None else {"seconds": 1e-6 * time, "bytes": 8}

    return {
        "growth": {
            method: {"work": {"10": own(few), "1000": own(many)}} for method, (few, many) in seconds.items()
        }
    }  # fmt: skip


def chosen(knapsack, tour):
    """Runs of nine at the optimum of a knapsack and of a tour."""
    return {
        "choices": [
            {"problem": problem, "method": method, "runs": 9, "solved": count, "evaluations": 1, "gap": 0.0}
            for problem, counts in (("knapsack", knapsack), ("tour", tour))
            for method, count in counts.items()
        ]
    }


def choices_of(method, other):
    """Cases of a method for choices: knapsack and tour."""

    def case(first, second):
        return chosen(
            {"random": 9, method: first[0], other: first[1]}, {"random": 9, method: second[0], other: second[1]}
        )

    return [
        (case((9, 9), (5, 5)), HOLDS), (case((5, 4), (4, 5)), PARTLY), (case((4, 5), (5, 4)), PARTLY),
        (case((4, 5), (4, 5)), FAILS), (case((0, 0), (0, 0)), FAILS), (chosen({method: 9}, {method: 9}), NOT_MEASURED),
    ]  # fmt: skip


FEW = {1e-6: 0.1, 1e-2: 0.9, 3e-2: 0.88}  # far away all is lost, near the best two points
LOSSY = {1e-2: 0.9, 3e-2: 0.5, 1e-1: None}

CASES = {
    "fast start": [
        (losses({"adam": 0.1, "ga": 0.5}), HOLDS),
        (losses({"adam": 0.9, "sgd": 0.1, "ga": 0.5}), HOLDS),
        (losses({"adam": 0.1, "ga": 0.5}, {"adam": 0.1, "ga": 0.5}, {"adam": 0.6, "ga": 0.5}), PARTLY),
        (losses({"adam": 0.1, "ga": 0.5}, {"adam": 0.6, "ga": 0.5}), FAILS),
        (losses({"adam": 0.6, "ga": 0.5, "pso": 0.9}), FAILS),
        (losses({"adam": 0.1, "ga": 0.5}, passes=499.0), NOT_MEASURED),
    ],
    "local minima": [
        (solved(sgd=0, adam=0, pso=8), HOLDS),
        (solved(sgd=3, adam=0, pso=8), HOLDS),
        (solved(sgd=0, adam=5, pso=8), FAILS),
        (solved(sgd=0, adam=3, pso=8, ga=0), HOLDS),
        (solved(sgd=0, adam=5, pso=0), FAILS),
        (solved(adam=1), NOT_MEASURED),
        (solved(pso=1), NOT_MEASURED),
        (solved(sgd=0, adam=0, pso=0), UNDECIDED),
    ],
    "learning rate": [
        (tuned(LOSSY, {}), HOLDS),
        (tuned(FEW, {}), FAILS),
        (tuned({1e-2: 0.9, 3e-2: 0.84}, {}), HOLDS),
        (tuned({1e-2: 0.9, 3e-2: 0.86}, {}), FAILS),
        (tuned(LOSSY, {}, chance=0.86), NOT_MEASURED),
        (tuned({1e-2: 0.9, 1e-6: 0.1}, {}), NOT_MEASURED),
    ],
    "robust": [
        (tuned(LOSSY, FEW, (0.5, 0.1)), HOLDS),
        (tuned(LOSSY, FEW, (0.1, 0.5)), PARTLY),
        (tuned(FEW, LOSSY, (0.5, 0.1)), PARTLY),
        (tuned(FEW, LOSSY, (0.1, 0.5)), FAILS),
    ],
    "less stuck": [
        (solved(adam=2, lbfgs_multistart=5, pso=9, de=9), HOLDS),
        (solved(adam=2, lbfgs_multistart=5, pso=9, de=1), PARTLY),
        (solved(adam=2, lbfgs_multistart=5, pso=9, de=9, ga=1), HOLDS),
        (solved(adam=5, sgd=0, lbfgs_multistart=5, pso=9, de=2), PARTLY),
        (solved(adam=2, lbfgs_multistart=5, pso=1, de=2), FAILS),
        (solved(adam=2, lbfgs_multistart=5, pso=0, de=0), FAILS),
        (solved(adam=0, lbfgs_multistart=5, pso=1, de=0), PARTLY),
        (solved(adam=0, lbfgs_multistart=5, pso=0, de=0), UNDECIDED),
        (solved(adam=0, pso=1), NOT_MEASURED),
        (solved(adam=0, lbfgs_multistart=5), NOT_MEASURED),
    ],
    "more iterations": [
        (quickest(3, 1.1), HOLDS),
        (quickest(3, 2, 0.5), PARTLY),
        (quickest(0.3, 1), FAILS),
        ({"functions": [cell("adam", "one", 10, 100), cell("cma", "one", 5, 300)]}, NOT_MEASURED),
    ],
    "efficient": [
        (raced(adam=90, ga=60, pso=60), HOLDS),
        (raced(adam=90, ga=60, pso=60, de=99), PARTLY),
        (raced(adam=60, ga=90, pso=50), FAILS),
    ],
    "graphics cards": [({}, NOT_MEASURED), (raced(adam=90, ga=60), NOT_MEASURED)],
    "expensive": [
        (timed(adam=(1, 5), pso=(1, 6)), HOLDS),
        (timed(adam=(1, 5), pso=(2, None)), HOLDS),  # beside Adam in as many dimensions
        (timed(adam=(1, 5), pso=(1, 6), ga=(1, 6), de=(1, 4)), HOLDS),
        (timed(adam=(1, 5), pso=(1, 6), de=(1, 4)), PARTLY),
        (timed(adam=(1, 5), pso=(3, 4)), FAILS),
        (timed(pso=(3, 4)), NOT_MEASURED),
    ],
    "simple": [
        (raced(adam=90, ga=60, random=99), HOLDS),
        (raced(adam=90, ga=60, pso=99), PARTLY),
        (raced(adam=60, ga=90), FAILS),
        (raced("digits 16 layers", adam=90, ga=60), NOT_MEASURED),
    ],
    "deep and complex": [
        (raced("digits 16 layers", adam=90, pso=99, de=60), HOLDS),
        (raced("fashion 100", adam=90, pso=99), HOLDS),
        (raced("digits 16 layers", adam=90, pso=90), UNDECIDED),
        (raced("digits 16 layers", adam=90, pso=70, random=99), FAILS),
        (raced("iris", adam=90, pso=99), NOT_MEASURED),
    ],
    "genetic algorithms": [
        (ends(ga=1.0, adam=2.0, sgd=3.0), HOLDS),
        (ends(ga=1.0, adam=2.0, sgd=0.5, lbfgs_multistart=0.1), FAILS),
        (beside_ga(2.0, 2.0, 0.5), HOLDS),
        (beside_ga(2.0, 0.5), PARTLY),
        (ends(ga=1.0, pso=2.0), NOT_MEASURED),
    ],
    "particle swarms": [
        (solved(pso=9, ga=5, de=2, cma=1), HOLDS),
        (ends(ga=1.0, pso=2.0, de=3.0, cma=4.0), PARTLY),
        (solved(pso=1, ga=5, de=2, cma=3), FAILS),
        # All are at the target: who was there first counts, and not how far below it.
        ({"functions": [cell("pso", "many", 9, 100, 1e-9), cell("ga", "many", 9, 200, 1e-12),
                        cell("cma", "many", 9, 300, 1e-15)]}, HOLDS),
        ({"functions": [cell("pso", "many", 9, 300, 1e-15), cell("ga", "many", 9, 200, 1e-12),
                        cell("cma", "many", 9, 100, 1e-9)]}, FAILS),
    ],
    "ants": choices_of("aco_discrete", "hillclimb"),
    "differential evolution": [
        (solved(shade=9, pso=5, ga=2, cma=1, snes=0), HOLDS),
        (solved(shade=5, pso=9, ga=2, cma=1), PARTLY),
        (solved(shade=1, pso=5, ga=2, cma=3), FAILS),
    ],
    "annealing": [
        (solved(sa=9, gsa=0, pso=5, ga=2, cma=1, snes=4), HOLDS),
        (solved(gsa=5, pso=9, ga=2, cma=1), PARTLY),
        (solved(sa=1, gsa=0, pso=5, ga=2, cma=3), FAILS),
    ],
    "tabu search": choices_of("tabu", "aco_discrete"),
    "adaptive rates": [
        (raced(adam=90, sgd=60), HOLDS),
        (raced(adam=90, sgd=90), UNDECIDED),
        (raced(adam=60, sgd=90), FAILS),
    ],
    "hybrids": [
        (raced(adam=60, es_adam=90) | solved(gsa_lbfgs=9, gsa=5, tabu_lbfgs=9, tabu=5, cma_lbfgs=1, cma=9), HOLDS),
        (raced(adam=90, es_adam=60) | solved(gsa_lbfgs=9, gsa=5, tabu_lbfgs=9, tabu=5, cma_lbfgs=1, cma=9), PARTLY),
        (raced(adam=60, es_adam=90) | solved(gsa_lbfgs=9, gsa=5, tabu_lbfgs=5, tabu=5), PARTLY),
        (raced(adam=90, es_adam=60) | solved(gsa_lbfgs=9, gsa=5, tabu_lbfgs=5, tabu=9), FAILS),
        # Shares of runs, not runs: two of three are more than three of ten.
        (raced(adam=90, es_adam=60)
         | {"functions": [cell("gsa_lbfgs", "many", 2, 9, runs=3), cell("gsa", "many", 3, 9)]}, PARTLY),
        (raced(adam=90, es_adam=60) | solved(gsa_lbfgs=9, tabu=5), NOT_MEASURED),
    ],
    "evolution strategies": [
        (raced(random=60, snes=90, adam=90), HOLDS),
        (raced(random=60, snes=90, pgpe=90, openai_es=80, adam=90), HOLDS),
        (raced(random=60, snes=80, pgpe=90, adam=90), PARTLY),
        (raced(random=60, snes=90, pgpe=60, adam=90), FAILS),
        (raced(random=60, snes=60, adam=60), FAILS),
        (raced(random=60, snes=90), NOT_MEASURED),
    ],
    "quantum-inspired": [
        (chosen({"qea": 9, "tabu": 9, "hillclimb": 1}, {}) | solved(qpso=5, pso=4), HOLDS),
        (chosen({"qea": 5, "sqa": 9, "tabu": 9}, {}) | solved(qpso=3, pso=4), PARTLY),
        (chosen({"qea": 8, "tabu": 9}, {}) | solved(qpso=4, pso=4), PARTLY),
        (chosen({"qea": 8, "tabu": 9}, {}) | solved(qpso=3, pso=4), FAILS),
        (chosen({"qea": 8, "tabu": 9, "hillclimb": 1}, {}) | solved(qpso=3, pso=4), FAILS),
        (chosen({"qea": 8}, {}) | solved(qpso=5, pso=4), NOT_MEASURED),
        (chosen({"tabu": 8}, {}) | solved(qpso=5, pso=4), NOT_MEASURED),
        (chosen({"qea": 9, "tabu": 8}, {}) | solved(qpso=5), NOT_MEASURED),
        (chosen({"qea": 0, "tabu": 0}, {}) | solved(qpso=0, pso=0), FAILS),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "figures", "verdict"),
    [(name, figures, verdict) for name, cases in CASES.items() for figures, verdict in cases],
    ids=[f"{name}, {place}" for name, cases in CASES.items() for place in range(len(cases))],
)
def test_a_statement_is_judged_by_its_rule(name, figures, verdict):
    measured = tuple(figures.get("measured", ()))
    rest = {key: value for key, value in figures.items() if key != "measured"}
    assert BY_NAME[name].judged(Evidence(Records("survey", measured, rest))).verdict == verdict


def test_every_statement_has_cases_of_different_verdicts():
    assert CASES.keys() == BY_NAME.keys()
    for name, cases in CASES.items():
        assert len({verdict for _, verdict in cases}) > 1 or name == "graphics cards"


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement.name)
def test_without_records_nothing_is_said(statement):
    assert statement.judged(Evidence(Records("survey", ()))).verdict == NOT_MEASURED


def test_every_verdict_of_the_committed_records_is_one_of_the_words_and_none_is_missing_but_for_parts_not_run():
    records = paper_named("survey").committed()
    assert records is not None
    evidence, left = Evidence(records), records.settings.get("not_run", {})
    for statement in STATEMENTS:
        found = statement.judged(evidence)
        assert found.verdict in VERDICTS
        if found.verdict == NOT_MEASURED:
            assert left or statement.name == "graphics cards"


def test_no_method_of_the_committed_networks_had_more_passes_than_gradient_descent():
    records = paper_named("survey").committed()
    assert records is not None
    for net in records.figures.get("networks", {}).values():
        most = net["methods"]["adam"]["passes"]  # it diverged nowhere
        for name, own in net["methods"].items():
            assert own["passes"] <= most, name  # fewer by less than a generation, or by divergence

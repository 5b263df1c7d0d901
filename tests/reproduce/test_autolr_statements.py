"""What is said of AutoLR's statements: every rule by made evidence, and the committed records by themselves."""

import itertools
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from thalweg.evolve.settings import preset_named
from thalweg.reproduce import Measured, Options, Records, paper_named
from thalweg.reproduce.autolr import evolution, evolving, published
from thalweg.reproduce.autolr.evidence import Evidence
from thalweg.reproduce.autolr.fair_race import TABLE
from thalweg.reproduce.autolr.pictures import pictures
from thalweg.reproduce.autolr.statements import STATEMENTS
from thalweg.reproduce.autolr.tables import tables
from thalweg.reproduce.difference import Difference
from thalweg.reproduce.statements import FAILS, HOLDS, NOT_MEASURED, PARTLY, UNDECIDED, VERDICTS
from thalweg.tasks import Examples

PAPER = paper_named("autolr")
BY_NAME = {statement.name: statement for statement in STATEMENTS}
NOISE = (-0.2, -0.1, 0.0, 0.1, 0.2)
ALIKE = {"ades": 90, "sign": 90, "adam": 90, "rmsprop": 90, "nesterov": 90, "ades_heavy_ball": 90}


def trials_of(data="fashion_mnist", wide=0.0, drop=1.0, drops=(), curve=None, **means):
    """Trials of five seeds: test accuracies of these means, validation accuracies by a drop above them. `wide` is how
    much each method spreads by itself, so that differences have a spread; `curve` the epochs to 80 % by method."""
    found = {}
    for place, (method, mean) in enumerate({**ALIKE, **means}.items()):
        own = [mean + wide * NOISE[(i * (place % 4 + 1) + place) % 5] for i in range(5)]
        fall = dict(drops).get(method, drop)
        epochs = (curve or {}).get(method, 1)
        found[method] = [
            {
                "test": score,
                "validation": score + fall,
                "curve": [10.0] * epochs + [score + fall, 10.0],
                "epoch": epochs,
            }
            for score in own
        ]
    return {data: {"trials": found}}


def raced(**tasks):
    """The fair race: by task the mean scores of methods, over eight paired seeds that spread a little."""
    spread = [0.01 * i for i in range(8)]
    return {
        "measured": [
            Measured(TABLE, task, method, "r2" if task == "diabetes" else "accuracy",
                     fair=tuple(mean + (1 + 0.1 * place) * each for each in spread))
            for task, means in tasks.items()
            for place, (method, mean) in enumerate(means.items())
        ]
    }  # fmt: skip


def home(ades=90, sign=90, adam=90, rmsprop=90, nesterov=90):
    return {"ades": ades, "sign": sign, "adam": adam, "rmsprop": rmsprop, "nesterov": nesterov}


def grid(steps=3, **widths):
    """Learning rates, so many a decade over four, of which each method does as well as at its best over its decades."""

    def cells(decades):
        return [
            {"lr": 10.0 ** (place / steps), "scores": [90.0 if abs(place / steps) <= decades / 2 + 1e-9 else 40.0]}
            for place in range(-2 * steps, 2 * steps + 1)
        ]

    grids = {"lr": {name: cells(decades) for name, decades in widths.items()}, "betas": {}, "constant": 10.0}
    return {"sensitivity": {"digits": grids}}


def exact(apart=0.01, share=0.001, signum=0.0, lost=(26, 23), tournament=(0.1, 0.25), dead=0.8):
    runs = [{"form": "equation 8", "diverged": step} for step in lost]
    return {
        "exact": {
            "momentum": {"evolved": {"apart": apart, "quadratic_share": share, "mu": 0.82, "eta": 0.089}},
            "evolved": {"sign": {"apart_from_signum": signum}},
            "equation_8": [*runs, {"form": "as benchmarked", "diverged": None}],
            "tournament": {"2": tournament[0], "5": tournament[1]},
            "logs": {"dead": dead},
        }
    }


CIFAR = "cifar10"
CASES = {
    "best at home": [
        (trials_of(ades=92), HOLDS),
        (trials_of(ades=90.01, wide=3), PARTLY),
        (trials_of(ades=92, adam=93), FAILS),
        (trials_of(ades=90, adam=90.05, wide=3), UNDECIDED),
        (trials_of(CIFAR, ades=92), NOT_MEASURED),
    ],
    "four alike": [
        (trials_of(ades=90.5, sign=70), HOLDS),
        (trials_of(ades=92), FAILS),
        (trials_of(ades=91.5, wide=30), UNDECIDED),
    ],
    "tie with Nesterov": [(trials_of(wide=1), HOLDS), (trials_of(ades=92, wide=1), FAILS)],
    "Sign behind": [
        (trials_of(sign=88.5), HOLDS),
        (trials_of(sign=80), PARTLY),
        (trials_of(sign=91), FAILS),
        (trials_of(wide=3), UNDECIDED),
    ],
    # By the paper's own Table 2 Nesterov drops less than Sign, whatever comes out here.
    "smallest drop at home": [(trials_of(drops={"sign": 0.1}), FAILS), (trials_of(), FAILS), ({}, NOT_MEASURED)],
    "smallest drop away": [
        (trials_of(CIFAR, drops={"sign": 0.1}), HOLDS),
        (trials_of(CIFAR, drops={"adam": 0.1}), FAILS),
        (trials_of(CIFAR, drops={"sign": 1.0, "ades": 1.0}), UNDECIDED),
    ],
    "improves to test": [
        (trials_of(CIFAR, drops={"sign": -0.1}), HOLDS),
        (trials_of(CIFAR, drops={"sign": 0.1}), FAILS),
        (trials_of(CIFAR, drops={"sign": 0.0}), UNDECIDED),
    ],
    "ahead on CIFAR-10": [
        (trials_of(CIFAR, ades=92), HOLDS),
        (trials_of(CIFAR, ades=90.1, wide=3), PARTLY),
        (trials_of(CIFAR, ades=92, adam=93), FAILS),
        (trials_of(CIFAR, ades=92, adam=92.01, wide=3), UNDECIDED),
        (trials_of(ades=92), NOT_MEASURED),
    ],
    "specialised": [
        (raced(fashion_mnist=home(ades=95), digits=home()), HOLDS),
        (raced(fashion_mnist=home(ades=80), digits=home()), FAILS),
        (raced(fashion_mnist=home(ades=95), digits=home(ades=95, sign=95)), FAILS),
        (raced(fashion_mnist=home(), digits=home(ades=95)), UNDECIDED),
        (raced(digits=home(ades=95)), NOT_MEASURED),
    ],
    "away from images": [
        (raced(digits=home(), wine=home(ades=95)), HOLDS),
        (raced(digits=home(), wine=home(ades=80)), PARTLY),
        (raced(digits=home(ades=80), diabetes=home(ades=80), wine=home()), FAILS),
        (raced(fashion_mnist=home()), NOT_MEASURED),
        (raced(digits=home(ades=95)) | {"fair": {"digits": {"constant": 92.0}}}, NOT_MEASURED),  # nobody learns
    ],
    "convergence speed": [
        (trials_of(curve={"adam": 3, "rmsprop": 3, "nesterov": 2, "ades": 1}), HOLDS),
        (trials_of(curve={"adam": 1, "rmsprop": 3, "nesterov": 2, "ades": 2}), FAILS),
        (trials_of(), UNDECIDED),
    ],
    "sensitivity": [
        (grid(ades=3, ades_heavy_ball=2, adam=2), HOLDS),
        (grid(ades=1, ades_heavy_ball=2, adam=2), FAILS),
        (grid(ades=2, ades_heavy_ball=2, adam=1), UNDECIDED),
        (grid(ades=2, adam=1), NOT_MEASURED),
    ],
    "unlike human-made ones": [(exact(apart=0.01), FAILS), (exact(apart=0.2), HOLDS)],
    "squared": [(exact(share=0.01), FAILS), (exact(share=0.2), HOLDS)],
    "Sign is new": [(exact(signum=0.0), FAILS), (exact(signum=0.1), HOLDS)],
    "simple mechanisms": [
        (exact(), HOLDS), (exact(apart=0.2), PARTLY), (exact(signum=0.1), PARTLY), (exact(0.2, signum=0.1), FAILS),
    ],
    "equation 8": [(exact(lost=(26, 23)), FAILS), (exact(lost=(None, 23)), PARTLY), (exact(lost=(None,)), HOLDS)],
    "tournament": [(exact(), FAILS), (exact(tournament=(0.3, 0.1)), HOLDS)],
    "most cannot train": [(exact(), HOLDS), (exact(dead=0.3), FAILS)],
}  # fmt: skip


def evidence(figures) -> Evidence:
    rest = {key: value for key, value in figures.items() if key != "measured"}
    return Evidence(Records("autolr", tuple(figures.get("measured", ())), rest))


@pytest.mark.parametrize(
    ("name", "figures", "verdict"),
    [(name, figures, verdict) for name, cases in CASES.items() for figures, verdict in cases],
    ids=[f"{name}, {place}" for name, cases in CASES.items() for place in range(len(cases))],
)
def test_a_statement_is_judged_by_its_rule(name, figures, verdict):
    assert BY_NAME[name].judged(evidence(figures)).verdict == verdict


def test_every_statement_has_cases_of_different_verdicts():
    assert CASES.keys() == BY_NAME.keys()
    for cases in CASES.values():
        assert len({verdict for _, verdict in cases}) > 1


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement.name)
def test_without_records_nothing_is_said(statement):
    assert statement.judged(evidence({})).verdict == NOT_MEASURED


def test_a_difference_of_equal_numbers_has_no_width_and_of_few_is_students():
    assert Difference.of([1.0, 1.0, 1.0]) == Difference(1.0, 1.0, 1.0)
    found = Difference.of([1.0, 2.0, 3.0])
    assert (found.low, found.high) == pytest.approx((2 - 4.3027 / 3**0.5, 2 + 4.3027 / 3**0.5), rel=1e-4)
    assert not found.above
    assert not found.below


def test_by_the_papers_own_tables_sign_drops_least_on_cifar_10_alone():
    found = evidence({})
    drops = {data: found.published_drops(data) for data in ("fashion_mnist", "cifar10")}
    assert min(drops["cifar10"], key=drops["cifar10"].get) == "sign"
    assert min(drops["fashion_mnist"], key=drops["fashion_mnist"].get) == "nesterov"
    assert drops["fashion_mnist"]["sign"] == pytest.approx(0.79)


def test_the_target_is_reached_by_all_trials_and_epochs_are_counted_from_the_first_one():
    found = evidence(trials_of(curve={"ades": 2, "adam": 4}, wide=1))
    level = found.target("fashion_mnist")
    for method in ("ades", "adam", "rmsprop", "nesterov", "ades_heavy_ball"):
        assert min(found.scores("fashion_mnist", method, "validation")) >= level
    assert found.epochs_to_target("fashion_mnist", "ades") == (2,) * 5
    assert found.epochs_to_target("fashion_mnist", "adam") == (4,) * 5


@pytest.mark.parametrize("name", ["best at home", "Sign behind", "ahead on CIFAR-10", "improves to test"])
def test_accuracies_decide_nothing_where_most_trials_validate_best_in_their_last_epoch(name):
    figures, verdict = CASES[name][0]
    assert verdict == HOLDS
    (data,) = figures
    trials = figures[data]["trials"]
    for cut, expected in ((("ades", "sign", "adam"), UNDECIDED), (("ades", "sign"), HOLDS)):
        own = {
            method: [{**one, "curve": one["curve"][:-1]} if method in cut else one for one in of]
            for method, of in trials.items()
        }
        assert BY_NAME[name].judged(evidence({data: {"trials": own}})).verdict == expected


# Evolution


def evolved(setting, number, options, tell):
    best = [0.5 + 0.1 * number + 0.01 * generation for generation in range(setting.generations)]
    return evolution.Run(best, [one / 2 for one in best], 300, 60, 200, 3000, "w = w - 0.1*g", best[-1] - 0.02)


def test_an_evolution_is_told_beside_the_published_ones_and_drawn_as_figure_2():
    made = evolution.run(evolved, Options(True, Path()), print, evolution.Setting(runs=2, generations=4))
    records = Records.read(made.to_json())
    (table,) = evolution.evolution_table(records)
    assert [row[5].text for row in table.rows] == ["15.0", "15.0"]
    assert table.fixed[0][3].value == published.EPOCHS_TRAINED
    assert {len(row) for row in (*table.rows, *table.fixed)} == {len(table.columns)}
    (picture,) = evolution.evolution_pictures(records)
    assert "best individual: 0.580" in picture.svg
    assert evolution.evolution_table(Records("autolr", ())) == []


def test_the_engine_is_asked_for_the_papers_preset_with_the_numbers_of_table_1(monkeypatch, tmp_path):
    asked = {}

    def evolve(task, **named):
        asked.update(named, task=task)
        rows = [SimpleNamespace(best=0.1, mean=-math.inf, candidates=20, examples=0),
                SimpleNamespace(best=0.8, mean=0.4, candidates=40, examples=1200)]  # fmt: skip
        rule = SimpleNamespace(text="w = w - 0.1*g")
        return SimpleNamespace(history=rows, counts={"fresh": 7}, best=rule, score=SimpleNamespace(mean=0.79))

    images = Examples(torch.zeros(10, 1, 14, 14), torch.arange(10))
    monkeypatch.setattr(evolving, "evolve", evolve)
    monkeypatch.setattr(evolving, "training_images", lambda *_: images)
    setting = evolution.Setting(runs=1, generations=2, images=600, epochs=3)
    found = evolving.by_thalweg(setting, 4, Options(True, tmp_path), print)
    assert (found.individuals, found.trained, found.epochs, found.epochs_of_all) == (40, 7, 2, 120)
    assert (found.best, found.retested) == ([0.1, 0.8], 0.79)
    assert (asked["preset"], asked["budget"], asked["seed"], asked["task"].epochs) == ("paper", "40c", 4, 3)
    numbers = {
        "population": 20,
        "tournament": 5,
        "crossover": 0.9,
        "edits": 0.15,
        "elites": 1,
        "trials": 5,
        "floor": 0.8,
    }
    assert {name: asked[name] for name in numbers} == numbers
    assert preset_named("paper").changed(**numbers) == preset_named("paper")


def test_the_paper_setting_costs_what_the_paper_says():
    setting = evolution.Setting()
    samples = (
        setting.runs * setting.generations * setting.population * setting.trainings * setting.epochs * setting.images
    )
    assert samples == pytest.approx(1.43e12, rel=0.01)
    assert published.EPOCHS_TRAINED * published.SLICE / samples == pytest.approx(0.031, abs=0.001)


# The committed records


@pytest.fixture(scope="module")
def committed() -> Records:
    records = PAPER.committed()
    assert records is not None
    return records


def test_every_verdict_of_the_committed_records_is_one_of_the_words_and_none_is_missing_but_for_parts_not_run(
    committed,
):
    found, left = Evidence(committed), committed.settings.get("not_run", {})
    for statement in STATEMENTS:
        judged = statement.judged(found)
        assert judged.verdict in VERDICTS
        assert judged.verdict != NOT_MEASURED or left, statement.name


def test_the_committed_records_have_the_exact_part_as_it_must_come_out(committed):
    of = committed.figures["exact"]
    assert all(rule["same_behaviour"] for rule in of["evolved"].values())
    assert all(rule["apart"] < 1e-12 for rule in of["evolved"].values())
    for run in of["equation_8"]:
        assert (run["diverged"] is not None) == (run["form"] == "equation 8")
    assert max(one["apart"] for one in of["momentum"].values()) < 0.01


def test_absolute_accuracies_of_a_scaled_run_are_not_judged(committed):
    words = PAPER.verdicts(committed)
    for claim in PAPER.claims:
        if claim.table in ("2", "3"):
            assert words[claim.cell].word == "not run"


def test_methods_of_the_committed_trials_are_paired(committed):
    """A seed begins with the same weights and images whatever the method."""
    for trials in Evidence(committed).trials.values():
        begins = [[trial["curve"][0] for trial in own] for own in trials.values()]
        assert all(one == other for one, other in itertools.pairwise(begins))


def test_tables_and_pictures_of_the_committed_records_are_whole(committed):
    found = tables(committed)
    assert len({table.name for table in found}) == len(found)
    for table in found:
        assert {len(row) for row in (*table.rows, *table.fixed)} == {len(table.columns)}, table.name
    assert len(pictures(committed)) >= 3

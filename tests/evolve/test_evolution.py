"""`evolve` as a whole: what it returns, what it leaves in the store, and what it begins with."""

import importlib.util

import pytest
import torch
from torch.nn.functional import cross_entropy

import thalweg
from thalweg.evolve.archive import Archive
from thalweg.evolve.finals import certain
from thalweg.evolve.settings import PRESETS
from thalweg.rules.gallery import find
from thalweg.tasks import ACCURACY, Task
from thalweg.tasks.models import mlp

TINY = {"population": 12, "batch": 12, "tournament": 4, "elites": 4, "contenders": 3, "seeds": 3}
FEW = {"controls": False, "race": False, "workers": 1, "finalists": 3, "choices": 3, "tests": 10}


def quadrants() -> Task:
    """Two classes that a line cannot tell apart."""
    x = torch.randn(160, 2, generator=torch.Generator().manual_seed(0))
    return Task(
        lambda generator: mlp((2, 8, 2), generator), cross_entropy, (x, (x[:, 0] * x[:, 1] > 0).long()),
        metric=ACCURACY, name="quadrants", epochs=4,
    )  # fmt: skip


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return thalweg.evolve(quadrants(), budget="36c", store=tmp_path_factory.mktemp("store"), **TINY, **FEW)


def test_the_winner_is_the_best_on_the_seeds_that_choose_and_is_reported_on_others(result):
    worth = [certain(one.choice) for one in result.finalists]
    assert worth[0] == max(worth)
    winner = result.finalists[0]
    assert result.score.mean == pytest.approx(sum(winner.test) / len(winner.test))
    assert result.score.n == 10
    assert result.score.low <= result.score.mean <= result.score.high


def test_the_winner_written_out_does_what_the_winner_does(result):
    for seed in range(3):
        assert result.best.behaviour(seed) == result.finalists[0].entry.rule.behaviour(seed)


def test_the_file_of_the_winner_steps_as_the_winner_does(result):
    spec = importlib.util.spec_from_file_location("winner", result.optimizer)
    winner = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(winner)
    weights = [torch.nn.Parameter(torch.linspace(-1, 1, 7, dtype=torch.float64)) for _ in range(2)]
    theirs, ours = winner.Evolved(weights[:1]), thalweg.optim.RuleOptimizer(weights[1:], result.best)
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        g = torch.randn(7, generator=generator, dtype=torch.float64)
        for w, optimizer in zip(weights, (theirs, ours), strict=True):
            w.grad = g.clone()
            optimizer.step()
    torch.testing.assert_close(weights[0], weights[1], rtol=1e-12, atol=1e-12)


def test_nothing_on_the_front_is_larger_and_no_better(result):
    sizes, scores = [point.size for point in result.front], [point.score for point in result.front]
    assert sizes == sorted(set(sizes))
    assert len(result.front) >= 1
    assert all(score <= 1 for score in scores)


def test_the_report_says_what_was_found(result):
    page = result.report().read_text()
    for part in ("An optimizer evolved for Quadrants", "Funnel", "Lineage", "Finalists"):
        assert part in page
    assert result.summary().startswith("An optimizer evolved for Quadrants")


def test_the_same_call_again_changes_nothing_and_a_larger_budget_goes_on(tmp_path):
    def evolved(budget):
        found = thalweg.evolve(quadrants(), budget=budget, store=tmp_path, **TINY, **FEW)
        with Archive(tmp_path / "archive.sqlite") as archive:
            return found, archive.dump(), found.report().read_bytes()

    first, kept, page = evolved("24c")
    again, same, same_page = evolved("24c")
    assert (same, same_page) == (kept, page)
    assert again.best == first.best
    longer, _, _ = evolved("48c")
    assert [row.candidates for row in longer.history][:2] == [row.candidates for row in first.history]
    assert longer.history[-1].candidates == 48


def test_known_rules_are_the_first_that_are_tried(tmp_path):
    thalweg.evolve(quadrants(), budget="12c", seed_rules="adam,gravity", store=tmp_path, **TINY, **FEW)
    with Archive(tmp_path / "archive.sqlite") as archive:
        seeds = [entry for entry in archive.entries() if entry.operation == "seed"]
        assert [entry.rule.behaviour() for entry in seeds] == [
            find(name).rule.behaviour() for name in ("adam", "gravity")
        ]
        assert all(entry.born == 0 for entry in seeds)


def test_a_grammar_evolves_too(tmp_path):
    changes = {**TINY, "representation": "grammar", "grammar": "rich"}
    found = thalweg.evolve(quadrants(), budget="36c", store=tmp_path, **changes, **FEW)
    assert found.best.program.equations


def test_the_paper_preset_evaluates_up_to_five_times_and_ends_below_the_floor(tmp_path):
    few = {**FEW, "tests": 10}
    thalweg.evolve(quadrants(), budget="40c", preset="paper", floor=0.5, store=tmp_path, **few)
    with Archive(tmp_path / "archive.sqlite") as archive:
        trained = [values for entry in archive.entries() if (values := entry.values("full"))]
        assert trained
        for values in trained:
            assert len(values) <= PRESETS["paper"].trials
            assert all(value >= 0.5 for value in values[:-1])
            assert len(values) == 5 or values[-1] < 0.5


def test_one_rule_is_sought_for_several_tasks(tmp_path):
    x = torch.randn(90, 3, generator=torch.Generator().manual_seed(1))
    other = Task(
        lambda generator: mlp((3, 4, 2), generator), cross_entropy, (x, (x[:, 0] > 0).long()), metric=ACCURACY,
        name="halves", epochs=3,
    )  # fmt: skip
    found = thalweg.evolve([quadrants(), other], budget="24c", across="worst", store=tmp_path, **TINY, **FEW)
    entry = found.finalists[0].entry
    assert {score.task for score in entry.scores if score.stage == "full"} == {"quadrants", "halves"}


@pytest.mark.slow
def test_controls_and_race_are_compared_on_the_seeds_of_the_winner(tmp_path):
    found = thalweg.evolve(
        quadrants(), budget="24c", store=tmp_path, away=["iris"], workers=2, finalists=2, choices=3, tests=10, **TINY
    )
    assert {row.label for row in found.page.controls} <= {"random search", "hyperparameters alone"}
    assert {row.label for row in found.page.race} == {"heavy-ball", "nesterov", "rmsprop", "adam", "lion", "sgd"}
    assert {row.task for row in found.page.away} == {"iris"}

"""The search: what it keeps, that it goes on as if it had never stopped, and that luck does not win."""

import json
import math
from random import Random

import pytest
import torch
from torch.nn.functional import mse_loss

from thalweg.evolve.archive import Archive
from thalweg.evolve.breeding import Breeder
from thalweg.evolve.evaluation import FULL, Plan
from thalweg.evolve.finals import certain, finals
from thalweg.evolve.funnel import Funnel
from thalweg.evolve.probes import probe_of
from thalweg.evolve.search import Search
from thalweg.evolve.settings import Settings
from thalweg.evolve.trees import Trees
from thalweg.race.engine import Here, executor
from thalweg.tasks import Task
from thalweg.tasks.metrics import Metric
from thalweg.tasks.models import mlp

SMALL = Settings(
    population=12, batch=12, tournament=4, elites=3, contenders=3, seeds=3, control=0.2, islands=2, migration=2
)


def small_task(metric=None) -> Task:
    x = torch.randn(120, 3, generator=torch.Generator().manual_seed(0))
    y = (x[:, :1] - 2 * x[:, 1:2]).tanh()
    return Task(lambda generator: mlp((3, 4, 1), generator), mse_loss, (x, y), metric=metric, name="small", epochs=2)


def search_over(archive, settings=SMALL, task=None, seed=0) -> Search:
    trees, task = Trees(), task or small_task()
    breeder = Breeder(settings, trees, Random(f"breeding {seed}"))
    funnel = Funnel(trees, archive, probe_of(task, seed), Random(f"control {seed}"), settings.control)
    plan = Plan(seed, None, settings.proxy, settings.rungs, settings.trials, settings.floor)
    return Search(settings, plan, [task], archive, breeder, funnel)


def run(search: Search, candidates: int, pool=None) -> Search:
    search.run(pool or Here(), lambda row: row.candidates >= candidates, lambda progress: None)
    return search


@pytest.fixture(scope="module")
def whole() -> Search:
    """A search of five batches, never interrupted."""
    return run(search_over(Archive(":memory:")), 72)


def test_a_search_that_stops_after_every_batch_ends_as_one_that_never_stops(tmp_path, whole):
    path = tmp_path / "archive.sqlite"
    for candidates in range(24, 84, 12):
        with Archive(path) as archive:
            run(search_over(archive), candidates)
    with Archive(path) as archive:
        again = search_over(archive)
        assert archive.dump() == whole.archive.dump()
        assert again.checkpoint() == whole.checkpoint()
        assert again.standing == whole.standing


def test_every_score_is_kept_and_counted(whole):
    entries = list(whole.archive.entries())
    spent = sum(score.examples for entry in entries for score in entry.scores)
    assert spent == whole.history[-1].examples
    counts = whole.archive.counters()
    bred = whole.history[-1].candidates
    assert counts["generated"] == bred == 72
    ends = [counts.get(name, 0) for name in ("refused", "repeated", "blind", "alike", "fresh")]
    assert sum(ends) == bred


def test_contenders_are_trained_again_until_they_have_as_many_scores_as_asked(whole):
    counts = {len(entry.seeds(FULL)) for entry in whole.archive.entries()}
    assert 1 < max(counts) <= SMALL.seeds
    for entry in whole.archive.entries():
        assert set(entry.seeds(FULL)) <= set(range(SMALL.seeds))


def test_what_a_hurdle_stopped_was_not_trained_further(whole):
    for entry in whole.archive.entries():
        stages = [score.stage for score in entry.scores]
        if FULL in stages:
            assert stages[:3] == ["proxy", "rung 0.25", FULL]


@pytest.mark.slow
def test_two_processes_find_what_one_finds(whole):
    task = Task(mlp_of_three, mse_loss, small_task().train, name="small", epochs=2)
    alone = run(search_over(Archive(":memory:"), task=task), 36)
    with executor(None, 2) as pool:
        together = run(search_over(Archive(":memory:"), task=task), 36, pool)
    assert together.archive.dump() == alone.archive.dump()


def mlp_of_three(generator):
    return mlp((3, 4, 1), generator)


def noise(outputs, targets):
    """A score that says nothing: digits far behind the point of the sum of the outputs."""
    return (outputs.double().sum().abs() * 1e4).frac()


def test_with_a_fitness_of_pure_noise_the_best_is_no_better_when_it_is_tested_again():
    settings = SMALL.changed(proxy=False, rungs=(), islands=1, seeds=2)
    search = run(
        search_over(Archive(":memory:"), settings, small_task(Metric("noise", "Noise", noise, worst=0.0))), 120
    )
    tested = finals(search, Here(), finalists=4, choices=5, tests=20)
    assert search.history[-1].best > 0.75  # luck, which grows with the search
    scores = [score for one in tested for score in one.test if math.isfinite(score)]
    # Uniform noise: the mean of some 60 independent scores is within 0.11 of a half in 997 of 1000 cases.
    assert sum(scores) / len(scores) == pytest.approx(0.5, abs=0.11)


def test_finals_are_trained_once(whole):
    first = finals(whole, Here(), finalists=3, choices=4, tests=10)
    kept = whole.archive.dump()
    assert finals(whole, Here(), finalists=3, choices=4, tests=10) == first
    assert whole.archive.dump() == kept
    assert all(len(one.choice) == 4 and len(one.test) == 10 for one in first)
    worth = [certain(one.choice) for one in first]
    assert worth == sorted(worth, reverse=True)


def test_a_checkpoint_is_plain_json(whole):
    assert json.loads(whole.checkpoint())["number"] == whole.number


def test_who_fails_now_and_then_is_not_chosen_for_a_higher_mean():
    assert certain([0.97] * 10) > certain([0.99] * 9 + [0.85])

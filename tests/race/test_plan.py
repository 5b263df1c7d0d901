"""What a race runs: equal budgets, studies of their own, final seeds of their own."""

import inspect
import math
from dataclasses import replace

import pytest
import torch
from race.small import line, made_record, plain_method

from thalweg.race import Choice, Float
from thalweg.race.plan import plan
from thalweg.race.result import Protocol
from thalweg.race.trial import ALONE, FINAL, TUNING, Job

PROTOCOL = Protocol(seeds=7, draws=5, studies=3, repeats=2, baseline="plain")
LR, MOMENTUM = Float("lr", 1e-3, 1.0), Float("momentum", 0.1, 0.9, log=False)
SCHEDULE = Choice("schedule", ("constant", "cosine"))
METHODS = (
    plain_method("plain"),
    replace(plain_method("wide", momentum=0.5, schedule="constant"), space=(LR, MOMENTUM, SCHEDULE)),
    replace(plain_method("fixed"), space=()),
)


def score(trial):
    """Higher for learning rates near 0.03, and different for every seed."""
    return -abs(math.log10(trial.method.hyperparameters["lr"] / 0.03)) + 0.01 * (trial.seed.rep % 7)


def answer(trial, score=score):
    value = score(trial)
    return made_record(
        key=trial.key, method=trial.method.name, hyperparameters=trial.method.hyperparameters, rep=trial.seed.rep,
        role=trial.role, validation_metric=(0.0, value), validation_loss=(9.0, -value), diverged=math.isinf(value),
    )  # fmt: skip


def walk(protocol=PROTOCOL, methods=METHODS, score=score):
    """The trials of each round, and the cells, of a race whose trials are not run."""
    steps = plan("iris", "fingerprint", methods, protocol)
    rounds = [next(steps)]
    while True:
        try:
            rounds.append(steps.send({trial.key: answer(trial, score) for trial in rounds[-1]}))
        except StopIteration as end:
            return rounds, end.value


def of(method, trials, role):
    return [trial for trial in trials if trial.method.name == method.name and trial.role == role]


def every(rounds):
    return [trial for trials in rounds for trial in trials]


@pytest.mark.parametrize("sampler", ["qmc", "grid", "random", "tpe"])
def test_all_methods_have_the_same_budget_whatever_they_search(sampler):
    protocol = replace(PROTOCOL, sampler=sampler)
    rounds, cells = walk(protocol)
    for method in METHODS:
        assert len(of(method, every(rounds), TUNING)) == protocol.tuning_trials == 3 * (5 + 3 * 2)
        assert len(of(method, every(rounds), FINAL)) == 7
        studies, finals = cells[method.name]
        assert [study.index for study in studies] == [0, 1, 2]
        assert len(finals) == 7
        for study in studies:
            assert sorted(len(draw.records) for draw in study.draws) == [1, 1, 3, 3, 3]


def test_draw_0_is_the_published_default_as_it_stands():
    _, cells = walk()
    for method in METHODS:
        for study in cells[method.name][0]:
            assert study.draws[0].hyperparameters == method.hyperparameters


def test_a_study_tries_what_the_others_do_not_and_all_methods_the_same_places():
    _, cells = walk()
    tried = [{draw.hyperparameters["lr"] for draw in study.draws[1:]} for study in cells["plain"][0]]
    assert len(set.union(*tried)) == 3 * 4
    assert tried == [{draw.hyperparameters["lr"] for draw in study.draws[1:]} for study in cells["wide"][0]]


def test_studies_have_seeds_of_their_own_and_share_them_over_methods_and_draws():
    _, cells = walk()
    reps = [
        {tuple(record.rep for record in draw.records) for method in METHODS for draw in cells[method.name][0][i].draws}
        for i in range(3)
    ]
    for found in reps:
        assert len({rep[0] for rep in found}) == 1  # all draws on one seed
        assert len(found) == 2  # the best ones on two more, the same for all
    assert len({rep for found in reps for draw in found for rep in draw}) == 9
    assert [record.rep for record in cells["plain"][1]] == list(range(7))
    assert all(rep >= 1_000_000 for found in reps for draw in found for rep in draw)


def test_a_final_repetition_has_the_setting_of_the_study_whose_turn_it_is():
    _, cells = walk()
    for method in METHODS:
        studies, finals = cells[method.name]
        for rep, record in enumerate(finals):
            assert record.hyperparameters == studies[rep % 3].chosen.hyperparameters


def test_the_best_of_a_study_run_again_and_the_best_mean_is_chosen():
    def lucky(trial):
        """The default is best on the first seed of a study, and worst on the others."""
        first = (trial.seed.rep - 1_000_000) % 3 == 0
        default = trial.method.hyperparameters["lr"] == 0.1
        return (1.0 if first else -9.0) if default else score(trial)

    _, cells = walk(score=lucky)
    for study in cells["plain"][0]:
        assert len(study.draws[0].records) == 3
        again = [draw for draw in study.draws if len(draw.records) == 3]
        others = [draw for draw in study.draws if len(draw.records) == 1]
        assert min(draw.records[0].validation_metric[-1] for draw in again) >= max(draw.score for draw in others)
        assert study.chosen == max(again, key=lambda draw: draw.score) != study.draws[0]


def test_where_all_diverge_the_default_is_kept():
    rounds, cells = walk(score=lambda trial: -math.inf)
    assert len(of(METHODS[0], every(rounds), TUNING)) == PROTOCOL.tuning_trials
    assert all(study.chosen == study.draws[0] for study in cells["plain"][0])


@pytest.mark.parametrize("sampler", ["qmc", "tpe"])
def test_a_draw_that_diverged_is_never_preferred(sampler):
    def steep(trial):
        return -math.inf if trial.method.hyperparameters["lr"] > 0.05 else score(trial)

    _, cells = walk(replace(PROTOCOL, sampler=sampler, draws=12), METHODS[:1], steep)
    assert all(study.draws[0].diverged and not study.chosen.diverged for study in cells["plain"][0])


@pytest.mark.parametrize(
    ("changes", "tuning", "final", "rounds"),
    [
        ({"draws": 1}, 3, 7, 2),
        ({"repeats": 0}, 15, 7, 2),
        ({"studies": 1}, 5 + 6, 7, 3),
        ({"seeds": 0}, 33, 0, 2),
        ({"draws": 2, "studies": 1, "seeds": 1}, 2 + 2 * 2, 1, 3),
        ({"draws": 1, "studies": 1, "repeats": 0, "seeds": 0}, 1, 0, 1),
    ],
)
def test_smallest_races(changes, tuning, final, rounds):
    protocol = replace(PROTOCOL, **changes)
    found, cells = walk(protocol)
    assert len(found) == rounds
    for method in METHODS:
        assert len(of(method, every(found), TUNING)) == tuning == protocol.tuning_trials
        assert len(of(method, every(found), FINAL)) == final == len(cells[method.name][1])
        assert tuning + final == protocol.trials_per_cell


@pytest.mark.parametrize("sampler", ["qmc", "tpe"])
def test_the_plan_follows_from_the_records_and_not_from_when_they_came(sampler):
    protocol = replace(PROTOCOL, sampler=sampler, draws=13)
    rounds, cells = walk(protocol)
    steps = plan("iris", "fingerprint", METHODS, protocol)
    asked = next(steps)
    for trials in rounds[1:]:
        late = list(reversed(asked))
        asked = steps.send({trial.key: answer(trial) for trial in late})
        assert [trial.key for trial in asked] == [trial.key for trial in trials]
    with pytest.raises(StopIteration) as end:
        steps.send({trial.key: answer(trial) for trial in asked})
    assert end.value.value == cells


def test_methods_do_not_change_each_others_trials():
    alone, _ = walk(methods=METHODS[1:2])
    together, _ = walk()
    assert {t.key for t in every(alone)} == {t.key for t in every(together) if t.method.name == "wide"}


def test_the_plan_is_given_no_data():
    assert list(inspect.signature(plan).parameters) == ["task", "fingerprint", "methods", "protocol"]


def test_a_tuning_trial_is_given_no_test_part():
    task = line()

    class Blind:
        """A task that gives training and validation parts alone."""

        def workload(self, split):
            return task.workload(split)

        def workload_and_test(self, split):
            raise AssertionError("the test part was asked for")

    rounds, _ = walk(methods=METHODS[:1])
    for trials, role in ((rounds[0][:1], TUNING), (rounds[1][:1], TUNING), (rounds[2][:1], FINAL)):
        assert [trial.role for trial in trials] == [role]
        if role == FINAL:
            with pytest.raises(AssertionError, match="the test part was asked for"):
                Job(Blind(), tuple(trials), ALONE).run()
        else:
            (record,) = Job(Blind(), tuple(trials), ALONE).run()
            seen = record.test_metric, record.test_metric_best, record.test_loss, record.constant_metric
            assert (*seen, record.untrained_metric) == (None,) * 5


def test_a_plan_draws_nothing_from_the_global_generator():
    before = torch.random.get_rng_state()
    walk(replace(PROTOCOL, sampler="random"))
    assert torch.equal(torch.random.get_rng_state(), before)

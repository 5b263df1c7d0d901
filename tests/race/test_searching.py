"""Methods that search: charged by their passes, paired with all others, the same bits again."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from thalweg.race.alone import Alone
from thalweg.race.method import method_named, names, with_ablations
from thalweg.race.searcher import Searcher
from thalweg.race.searching import HYBRIDS, SEARCHED
from thalweg.race.seeds import Stream, final_seed
from thalweg.race.teams import Member
from thalweg.race.trial import ALONE, FINAL, Job, Trial
from thalweg.search.catalogue import ALGORITHMS
from thalweg.search.networks.hybrids import GRADIENT
from thalweg.search.spaces import Box
from thalweg.tasks.catalogue import find

CPU = torch.device("cpu")


def small_task(epochs=6):
    return replace(find("iris"), epochs=epochs)


def record_of(name, rep=0):
    task = small_task()
    trial = Trial(method_named(name), task.fingerprint(), final_seed(0, task.name, rep), FINAL)
    (record,) = Job(task, (trial,), ALONE).run()
    return record


def team_of(kind, name):
    task = small_task()
    seed = final_seed(0, task.name, 0)
    workload, test = task.workload_and_test(seed.generator(Stream.SPLIT))
    return kind(Member(method_named(name), workload, seed, test), CPU)


def test_every_strategy_of_real_vectors_and_every_hybrid_is_a_method():
    strategies = {name for name, kind in ALGORITHMS.items() if Box in kind.spaces}
    assert SEARCHED.keys() == strategies | HYBRIDS.keys()
    assert SEARCHED.keys() <= set(names())


@pytest.mark.parametrize("name", SEARCHED)
def test_what_it_is_compared_with_is_a_method_and_joins_its_race(name):
    assert set(SEARCHED[name].ablations) <= set(names())
    assert with_ablations([name])[1:] == list(SEARCHED[name].ablations)
    method = method_named(name)
    assert method.title
    assert {dimension.name for dimension in method.space} <= set(method.hyperparameters)


@pytest.mark.parametrize("name", ["snes", "de", "snes_then_adam", "snes_adam_bandit", "es_adam"])
def test_no_more_passes_are_spent_than_gradient_descent_has_and_all_but_one_step_of_them(name):
    team = team_of(Searcher, name)
    steps = 60
    for _ in range(steps):
        team.step(torch.arange(32).unsqueeze(0), np.ones(1), np.ones(1, dtype=np.bool_))
    spent = team.counts.forward[0] + 2 * team.counts.backward[0]
    assert spent <= steps * GRADIENT
    assert spent > steps * GRADIENT - team.trainer.cost
    assert team.counts.steps[0] == steps


@pytest.mark.parametrize("name", ["snes", "ga_lamarckian"])
def test_a_trial_twice_gives_the_same_record_but_for_the_seconds(name):
    first, again = record_of(name), record_of(name)
    assert replace(first, seconds=0.0) == replace(again, seconds=0.0)


def test_where_not_even_one_generation_can_be_paid_it_is_said():
    task = small_task(epochs=2)
    seed = final_seed(0, task.name, 0)
    workload, test = task.workload_and_test(seed.generator(Stream.SPLIT))
    with pytest.raises(ValueError, match=r"population of snes must be smaller, .* costs 50 passes, and there are 18"):
        Searcher(Member(method_named("snes"), workload, seed, test), CPU)


def test_it_is_paired_with_methods_that_follow_gradients():
    assert record_of("snes").pairing == record_of("sgd").pairing


def test_a_search_begins_at_the_network_that_gradients_begin_at():
    searcher, alone = team_of(Searcher, "pso"), team_of(Alone, "sgd")
    assert searcher.init_hashes == alone.init_hashes
    assert torch.equal(searcher.outputs("test"), alone.outputs("test"))


@pytest.mark.parametrize(
    "setting", [{"schedule": "cosine"}, {"l1": 0.1}, {"label_smoothing": 0.1}, {"decay": "coupled"}]
)
def test_what_needs_a_gradient_is_refused(setting):
    method = method_named("snes")
    (name,) = setting
    with pytest.raises(ValueError, match=f"{name} is for .*, but snes is thalweg.search.Generations of snes"):
        method.at({**method.hyperparameters, **setting})


def test_the_line_to_paste_makes_the_trainer():
    import thalweg

    model = torch.nn.Linear(2, 1)
    code = method_named("snes").info().code.replace("{}", "scale=0.5, population=10")
    trainer = eval(code, {"thalweg": thalweg, "model": model, "loss_fn": torch.nn.functional.mse_loss})
    trainer.step(torch.ones(4, 2), torch.zeros(4, 1))
    assert trainer.forward == 10

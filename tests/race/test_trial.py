"""A job of trials: their records, stacked and alone, what they are paired by, and what their keys depend on."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from thalweg.race.method import method_named
from thalweg.race.record import CIRCUMSTANCES, Record
from thalweg.race.seeds import Stream, final_seed, tuning_seed
from thalweg.race.training import batch_order
from thalweg.race.trial import ALONE, FINAL, STACKED, TUNING, Job, Trial
from thalweg.tasks import Task
from thalweg.tasks.dropout import Dropout
from thalweg.tasks.metrics import ACCURACY, R2, Metric
from thalweg.tasks.models import mlp

pytestmark = pytest.mark.usefixtures("one_thread")


def inputs_and_classes() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(150, 4, generator=generator)
    return inputs, (inputs @ torch.randn(4, 3, generator=generator)).argmax(1)


def small(model=lambda generator: mlp((4, 10, 3), generator), **settings) -> Task:
    own = {"metric": ACCURACY, "name": "small", "batch_size": 16, "epochs": 3}
    return Task(model, cross_entropy, inputs_and_classes(), **{**own, **settings})


def regression(metric=R2, scale: float = 1.0) -> Task:
    inputs, _ = inputs_and_classes()
    model = lambda generator: mlp((4, 6, 1), generator)  # noqa: E731
    return Task(model, mse_loss, (inputs, scale * inputs[:, :1]), metric=metric, name="line", batch_size=16, epochs=3)


TASK = small()


def trial(name="adam", rep=0, role=FINAL, task: Task = TASK, **hyperparameters) -> Trial:
    method = method_named(name)
    seed = (final_seed if role == FINAL else tuning_seed)(0, task.name, rep)
    return Trial(method.at({**method.hyperparameters, **hyperparameters}), task.fingerprint(), seed, role)


def records(*trials: Trial, arrangement: str = STACKED, task: Task = TASK) -> list[Record]:
    return Job(task, trials, arrangement).run()


def assert_equal_but_for_rounding(some: Record, others: Record) -> None:
    for name, value in vars(some).items():
        other = getattr(others, name)
        if name not in CIRCUMSTANCES:
            approximate = isinstance(value, float) or (isinstance(value, tuple) and name != "hyperparameters")
            assert value == (pytest.approx(other, rel=1e-4, abs=1e-6) if approximate else other), name


# Stacked and alone


def test_a_job_gives_the_same_records_stacked_and_alone_in_the_order_of_its_trials():
    trials = [
        trial("adam", 0), trial("sgd", 0, lr=0.1), trial("gravity", 1, lr=0.1, batch_size=8), trial("adam", 1),
        trial("muon", 0, lr=0.02), trial("heavy_ball", 2, batch_size=8, patience=1), trial("sgd", 1, dropout=0.2),
    ]  # fmt: skip
    together, apart = records(*trials), records(*trials, arrangement=ALONE)
    for one, stacked, alone in zip(trials, together, apart, strict=True):
        assert stacked.key == one.key
        assert stacked.method == one.method.name
        assert_equal_but_for_rounding(stacked, alone)
    assert [record.members for record in together] == [4, 4, 2, 4, 1, 2, 4]
    assert {record.members for record in apart} == {1}


@pytest.mark.parametrize("arrangement", [STACKED, ALONE])
def test_the_same_job_gives_the_same_bits(arrangement):
    runs = [records(trial("gravity", lr=0.1, dropout=0.2), trial(rep=1), arrangement=arrangement) for _ in range(2)]
    assert [one.result_hash for one in runs[0]] == [one.result_hash for one in runs[1]]


class Twofold(nn.Module):
    """Not to be stacked: what it computes depends on how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.calls = nn.Linear(4, 3), 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.inner(x)


def test_what_turns_out_not_to_be_stackable_trains_alone():
    task = small(Twofold)
    trials = [trial(rep=rep, task=task) for rep in (0, 1)]
    together, apart = records(*trials, task=task), records(*trials, arrangement=ALONE, task=task)
    assert [record.members for record in together] == [1, 1]
    assert [record.result_hash for record in together] == [record.result_hash for record in apart]


# What is recorded


def test_a_record_can_be_written_and_read():
    for record in records(trial("muon"), trial("heavy_ball", lr=1e30), trial(role=TUNING)):
        assert Record.from_json(record.to_json()) == record


def test_trials_of_different_methods_with_one_seed_are_paired():
    """Batch size and dropout do not change what they are paired by."""
    made = records(
        trial("sgd"), trial("adam", batch_size=1), trial("gravity"), trial("lbfgs"), trial("adam", dropout=0.3)
    )
    assert len({record.pairing for record in made}) == 1
    assert [record.train_loss[0] for record in made] == pytest.approx([made[0].train_loss[0]] * 5, rel=1e-6)


def test_trials_with_different_seeds_share_neither_data_nor_weights_nor_order():
    final, other = records(trial(rep=0), trial(rep=1))
    (tuning,) = records(trial(rep=0, role=TUNING))
    for a, b in ((final, other), (final, tuning)):
        assert all(x != y for x, y in zip(a.pairing, b.pairing, strict=True))


def test_a_trial_is_plain_training_on_the_split_the_weights_and_the_order_of_its_seed():
    """Written out, with torch's SGD."""
    record, alone = records(trial("sgd", 4, lr=0.1))[0], records(trial("sgd", 4, lr=0.1), arrangement=ALONE)[0]
    seed = final_seed(0, "small", 4)
    workload, test = TASK.workload_and_test(seed.generator(Stream.SPLIT))
    network = workload.network(seed.generator(Stream.INIT)).eval()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)

    def loss(examples) -> torch.Tensor:
        return workload.loss(network(examples.inputs), examples.targets)

    losses = [(loss(workload.train).item(), loss(workload.validation).item())]
    untrained = ACCURACY.function(network(test.inputs), test.targets).item()
    for rows in batch_order(len(workload.train), 3, seed.generator(Stream.ORDER)):
        for batch in rows.split(16):
            optimizer.zero_grad()
            loss(workload.train[batch]).backward()
            optimizer.step()
        losses.append((loss(workload.train).item(), loss(workload.validation).item()))
    for found in (record, alone):
        assert found.train_loss == pytest.approx([a for a, _ in losses], rel=1e-5)
        assert found.validation_loss == pytest.approx([b for _, b in losses], rel=1e-5)
        assert found.test_loss == pytest.approx(loss(test).item(), rel=1e-5)
        assert found.test_metric == ACCURACY.function(network(test.inputs), test.targets).item()
        assert found.train_metric == ACCURACY.function(network(workload.train.inputs), workload.train.targets).item()
        assert found.untrained_metric == untrained
        counts = workload.train.targets.bincount()
        assert found.constant_metric == (test.targets == counts.argmax()).double().mean().item()
        assert found.steps == found.forward_passes == found.backward_passes == 3 * 6  # 90 examples in batches of 16
        assert (found.examples, found.parameters, found.stopped) == (3 * 90, 83, 3)
        assert found.seconds > 0


def test_the_metric_of_the_best_weights_is_that_of_the_lowest_validation_loss():
    (record,) = records(trial("sgd", 1, lr=30.0))
    at = record.validation_loss.index(min(record.validation_loss))
    assert at < 3
    (shorter,) = records(trial("sgd", 1, lr=30.0, task=(task := small(epochs=max(1, at)))), task=task)
    expected = shorter.test_metric if at else shorter.untrained_metric
    assert record.test_metric_best == expected


def test_a_tuning_trial_has_nothing_of_the_test_part():
    (record,) = records(trial(role=TUNING))
    of_test = (record.test_metric, record.test_metric_best, record.test_loss, record.constant_metric)
    assert (*of_test, record.untrained_metric) == (None,) * 5
    assert record.train_metric is not None


# What diverges


@pytest.mark.parametrize("arrangement", [STACKED, ALONE])
def test_a_diverged_trial_stops_and_scores_worst(arrangement):
    made = records(trial("heavy_ball", lr=1e30), trial("heavy_ball"), arrangement=arrangement)
    assert [record.diverged for record in made] == [True, False]
    ill = made[0]
    assert (ill.test_metric, ill.test_metric_best, ill.train_metric) == (0.0, 0.0, None)
    assert len(ill.train_loss) < 4
    assert ill.stopped == len(ill.train_loss)
    assert ill.pairing == made[1].pairing


def test_where_the_metric_has_no_worst_value_a_diverged_trial_scores_as_an_untrained_network():
    task = regression(Metric("slope", "Slope", lambda outputs, targets: (outputs * targets).mean()))
    (record,) = records(trial("sgd", lr=1e30, task=task), task=task)
    assert record.diverged
    assert record.test_metric == record.test_metric_best == record.untrained_metric


def test_a_test_score_that_is_not_finite_is_the_worst_though_training_was_fine():
    """Only the test part has the input that the metric cannot judge."""
    inputs, classes = inputs_and_classes()
    far = inputs.clone()
    far[0, 0] = 1e30
    metric = Metric("mean", "Mean", lambda o, t: (o.square().mean() - o.square().mean()) + 0.5, worst=-7.0)
    near = (inputs, classes)
    task = small(val=near, test=(far, classes), metric=metric, epochs=1, standardise=False)
    (record,) = records(trial(task=task), task=task)
    assert not record.diverged
    assert (record.test_metric, record.test_metric_best) == (-7.0, -7.0)
    assert record.untrained_metric is None
    assert Record.from_json(record.to_json()) == record


def test_the_constant_answer_of_a_regression_is_the_mean():
    task = regression()
    (record,) = records(trial("sgd", lr=0.1, task=task), task=task)
    assert record.constant_metric == pytest.approx(0.0, abs=0.2)
    assert record.constant_metric <= 0.0


def test_there_is_no_constant_answer_where_outputs_are_not_answers():
    def spread(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (outputs[:, :1] - targets).square().mean() + outputs[:, 1:].square().mean()

    inputs, _ = inputs_and_classes()
    task = Task(lambda generator: mlp((4, 2), generator), spread, (inputs, inputs[:, :1]), name="two", epochs=1)
    (record,) = records(trial("sgd", task=task), task=task)
    assert record.constant_metric is None


# Keys


@pytest.mark.parametrize(
    "other",
    [
        trial("sgd"),
        trial("adamw"),
        trial(rep=1),
        trial(lr=0.5),
        trial(betas=(0.9, 0.99)),
        trial(role=TUNING),
        trial(schedule="cosine"),
        replace(trial(), seed=replace(trial().seed, master=1)),
        trial(task=small(epochs=4)),
        trial(task=small(batch_size=8)),
        trial(task=small(lambda generator: nn.Sequential(*mlp((4, 10, 3), generator), Dropout(0.1)))),
    ],
)
def test_the_key_changes_with_everything_that_decides_the_result(other):
    assert other.key != trial().key
    assert trial().key == trial().key
    assert math.isclose(len(other.key), 64)

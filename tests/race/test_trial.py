"""One method, one workload, one seed, one record."""

from dataclasses import replace

import pytest
import torch
from race.small import small_tasks

from thalweg.race import method_named
from thalweg.race.seeds import Stream, final_seed
from thalweg.race.trial import Trial, batch_order

TASK = replace(small_tasks("iris")[0], epochs=3)


def trial(name="adam", rep=0, task=TASK, with_test=True, **hyperparameters):
    method = method_named(name)
    seed = final_seed(0, task.name, rep)
    workload, test = task.workload_and_test(seed.generator(Stream.SPLIT))
    return Trial(method.at({**method.hyperparameters, **hyperparameters}), workload, seed, test if with_test else None)


def test_the_same_trial_gives_the_same_record_but_for_its_seconds():
    assert replace(trial().run(), seconds=0) == replace(trial().run(), seconds=0)


def test_gravity_draws_its_start_noise_from_the_seed():
    a, b, other = (trial("gravity", rep, lr=0.1).run() for rep in (0, 0, 1))
    assert a.train_loss == b.train_loss != other.train_loss


def test_trials_of_different_methods_with_one_seed_are_paired():
    records = [trial(name, rep=4).run() for name in ("sgd", "adam", "gravity")]
    assert len({record.pairing for record in records}) == 1
    assert len({record.train_loss[0] for record in records}) == 1
    assert len({record.train_loss[1] for record in records}) == 3


def test_trials_with_different_seeds_share_neither_data_nor_weights_nor_order():
    a, b = trial(rep=0).run(), trial(rep=1).run()
    assert all(x != y for x, y in zip(a.pairing, b.pairing, strict=True))


def test_training_is_gradient_descent_on_the_batches_in_their_order():
    record = trial("sgd", lr=0.1).run()
    seed = final_seed(0, "iris", 0)
    workload = TASK.workload(seed.generator(Stream.SPLIT))
    network = workload.network(seed.generator(Stream.INIT))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    losses = []
    for rows in batch_order(len(workload.train), 3, seed.generator(Stream.ORDER)):
        for batch in rows.split(16):
            optimizer.zero_grad()
            workload.loss(network(workload.train.inputs[batch]), workload.train.targets[batch]).backward()
            optimizer.step()
        losses.append(workload.loss(network(workload.train.inputs), workload.train.targets).item())
    assert record.train_loss[1:] == pytest.approx(losses, rel=1e-5)


def test_a_trial_counts_what_it_spends():
    record = trial().run()
    assert record.forward_passes == record.backward_passes == 3 * 6  # 90 examples in batches of 16
    assert record.examples == 3 * 90
    assert record.seconds > 0


def test_a_curve_has_a_point_before_training_and_one_an_epoch():
    record = trial().run()
    assert len(record.train_loss) == len(record.validation_loss) == len(record.validation_accuracy) == 4


def test_a_tuning_trial_has_no_test_accuracy():
    record = trial(with_test=False).run()
    assert (record.role, record.test_accuracy, record.constant_accuracy) == ("tuning", None, None)


def test_the_constant_answer_is_right_for_one_class_in_three():
    assert trial().run().constant_accuracy == pytest.approx(1 / 3)


def test_a_diverged_trial_stops_and_scores_worst():
    record = trial("heavy_ball", lr=1e30).run()
    assert record.diverged
    assert record.test_accuracy == 0.0
    assert len(record.train_loss) < 4
    assert record.order_hash == trial("heavy_ball").run().order_hash


@pytest.mark.parametrize(
    "other",
    [
        trial("sgd"),
        trial("adamw"),
        trial(rep=1),
        trial(lr=0.5),
        trial(betas=(0.9, 0.99)),
        trial(with_test=False),
        trial(task=replace(TASK, epochs=4)),
        trial(task=replace(TASK, batch_size=8)),
    ],
)
def test_the_key_changes_with_everything_that_decides_the_result(other):
    assert other.key != trial().key
    assert trial().key == trial().key

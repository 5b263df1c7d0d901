"""Tasks: their splits, what a trial may see of them, and how they travel."""

import dataclasses
from functools import partial

import cloudpickle
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.utils.data import DataLoader, TensorDataset

from thalweg.tasks import ACCURACY, R2, Examples, Metric, Task, Workload, mlp
from thalweg.tasks.task import tensor_hash

SMALL = partial(mlp, (2, 4, 3))


def classes(n=60, seed=0):
    """Three classes of two features."""
    inputs = 5 + 2 * torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))
    return Examples(inputs, torch.arange(n) % 3)


def task(train=None, **settings):
    return Task(SMALL, cross_entropy, classes() if train is None else train, **{"metric": ACCURACY, **settings})


def with_parts(**settings):
    return task(classes(60), val=classes(12, 1), test=classes(15, 2), **settings)


def test_inputs_are_standardised_on_the_training_part_alone(generator):
    workload, test = task().workload_and_test(generator())
    assert workload.train.inputs.mean(dim=0).abs().max() < 1e-5
    assert workload.train.inputs.std(dim=0, correction=0).sub(1).abs().max() < 1e-5
    for part in (workload.validation, test):  # the same shift, so their own means are not zero
        assert part.inputs.mean(dim=0).abs().max() > 1e-3
        assert part.inputs.mean(dim=0).abs().max() < 1


def test_images_and_tokens_are_not_standardised_unless_asked(generator):
    images = Examples(5 + torch.rand(60, 1, 4, 4), torch.arange(60) % 3)
    tokens = Examples(torch.randint(9, (60, 4)), torch.arange(60) % 3)
    assert task(images).workload(generator()).train.inputs.min() >= 5
    assert task(tokens).workload(generator()).train.inputs.dtype == torch.int64
    assert task(standardise=False).workload(generator()).train.inputs.mean() > 4
    assert task(images, standardise=True).workload(generator()).train.inputs.mean().abs() < 1e-5


def test_targets_are_standardised_on_the_training_part_where_asked(generator):
    data = Examples(torch.rand(60, 2), 100 + torch.rand(60, 1))
    asked = Task(SMALL, mse_loss, data, metric=R2, standardise_targets=True)
    assert asked.workload(generator()).train.targets.mean().abs() < 1e-4
    assert Task(SMALL, mse_loss, data, metric=R2).workload(generator()).train.targets.mean() > 99


def test_a_workload_holds_no_test_part(generator):
    workload, test = task().workload_and_test(generator())
    parts = {f.name for f in dataclasses.fields(Workload) if isinstance(getattr(workload, f.name), Examples)}
    assert parts == {"train", "validation"}
    assert len(workload.train) + len(workload.validation) + len(test) == 60


def test_the_workload_is_the_same_with_and_without_the_test_part(generator):
    alone, (beside, _) = task().workload(generator(3)), task().workload_and_test(generator(3))
    assert torch.equal(alone.train.inputs, beside.train.inputs)
    assert alone.data_hash == beside.data_hash


def test_each_seed_cuts_anew_where_there_is_no_test_part(generator):
    first, second = (task().workload_and_test(generator(seed)) for seed in (0, 1))
    assert first[0].data_hash != second[0].data_hash
    assert not torch.equal(first[1].inputs, second[1].inputs)


def test_parts_that_are_given_are_used_as_they_are_and_shared(generator):
    given = with_parts()
    workload, test = given.workload_and_test(generator(0))
    assert (len(workload.train), len(workload.validation), len(test)) == (60, 12, 15)
    assert given.workload_and_test(generator(1))[0] is workload
    assert given.workload_and_test(generator(1))[1] is test


def test_with_a_test_part_alone_a_tenth_of_train_validates_the_same_for_every_seed(generator):
    given = task(classes(60), test=classes(15, 2))
    workload, test = given.workload_and_test(generator())
    assert workload.train.targets.bincount().tolist() == [18, 18, 18]
    assert workload.validation.targets.bincount().tolist() == [2, 2, 2]
    assert len(test) == 15
    assert given.workload(generator(1)) is workload


def test_parts_are_float32_and_contiguous(generator):
    workload, test = task((classes().inputs.double(), classes().targets.int())).workload_and_test(generator())
    for part in (workload.train, workload.validation, test):
        assert part.inputs.dtype == torch.float32
        assert part.inputs.is_contiguous()


def test_data_are_read_when_first_needed_and_once(generator):
    calls = []

    def load():
        calls.append(1)
        return classes()

    lazy = task(load)
    assert not calls
    lazy.workload(generator(0))
    lazy.workload(generator(1))
    assert len(calls) == 1


def test_the_batch_size_is_that_given_else_that_of_the_loader_else_32():
    loader = DataLoader(TensorDataset(classes().inputs, classes().targets), batch_size=7)
    assert task(loader).batch_size == 7
    assert task(loader, batch_size=9).batch_size == 9
    assert task().batch_size == 32


def test_without_a_metric_the_loss_decides_and_a_function_will_do(generator):
    plain = task(metric=None)
    outputs, targets = torch.rand(4, 3), torch.tensor([0, 1, 2, 0])
    assert plain.metric.function(outputs, targets) == -cross_entropy(outputs, targets)
    assert task(metric=lambda outputs, targets: 0.25).metric.function(outputs, targets) == 0.25


def test_replacing_a_setting_keeps_the_rest(generator):
    short = dataclasses.replace(task(name="mine"), epochs=2, batch_size=16)
    assert (short.name, short.workload(generator()).epochs, short.workload(generator()).batch_size) == ("mine", 2, 16)
    assert short.workload(generator()).data_hash == task().workload(generator()).data_hash


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "a/b"}, "name must be of letters, .* got 'a/b'"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"epochs": -1}, "epochs must be a whole number of at least 1, got -1"),
        ({"metric": "accuracy"}, "metric must be a Metric or a function .* got 'accuracy'"),
        ({"loss": None}, "loss must be a function .* got None"),
        ({"val": classes()}, "val is given but test is not"),
        ({"model": nn.Linear(2, 3)}, "model is a network already"),
        ({"standardise": True, "train": (torch.zeros(60, 2).long(), classes().targets)}, "cannot be standardised"),
        ({"standardise_targets": True}, "targets are classes, which cannot be standardised"),
    ],
)
def test_a_setting_that_cannot_be_right_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Task(**{"model": SMALL, "loss": cross_entropy, "train": classes(), **settings}).workload(torch.Generator())


def bad(inputs=None, targets=None):
    good = classes()
    return Examples(good.inputs if inputs is None else inputs, good.targets if targets is None else targets)


NAN = classes().inputs.index_fill(0, torch.tensor([7]), torch.nan)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (bad(NAN), "task t: train inputs hold 2 numbers that are NaN or infinite, the first in row 7, column 0"),
        (bad(targets=torch.ones(60).long()), "task t: all target classes are 1: there is nothing to learn"),
        (bad(targets=torch.full((60,), 2.5)), "task t: all target values are 2.5"),
        (bad(targets=torch.arange(60).clamp(max=1)), "task t: class 0 has 1 example, each class needs 2 or more"),
        (bad(targets=torch.arange(60) // 2), "task t: the train part|the validation part is too small: .* 0 examples"),
        (bad(targets=classes().targets[:50]), "task t: train has 60 inputs but 50 targets"),
        (classes(0), "task t: train is empty"),
        (classes(4)[torch.tensor([0, 1, 3])], "class 1 has 1 example"),
    ],
)
def test_data_that_nothing_can_be_learnt_from_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        task(data, name="t").workload(torch.Generator())


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"test": classes(2)}, "the test part is too small: it has 2 examples and needs 3 or more, one for each of 3"),
        ({"test": classes(15), "val": classes(1)}, "the validation part is too small"),
        ({"test": bad(targets=torch.arange(60) % 4)}, "task t: test has class 3, which train has not"),
        ({"test": bad(NAN)}, "task t: test inputs hold 2 numbers"),
        (
            {"test": Examples(torch.rand(60, 5), classes().targets)},
            r"test inputs are \(5,\) float32, .* train are \(2,\)",
        ),
        ({"test": Examples(classes().inputs, torch.rand(60))}, r"test targets are \(\) float32"),
    ],
)
def test_parts_that_are_too_small_or_do_not_fit_are_refused(parts, message):
    with pytest.raises(ValueError, match=message):
        task(name="t", **parts).workload(torch.Generator())


def broken(outputs, targets):
    raise RuntimeError("broken")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"model": partial(mlp, (5, 3))},
            r"task t: the network, on inputs of \(2,\) float32 each failed: RuntimeError",
        ),
        ({"model": partial(mlp, (2, 2))}, "task t: the loss failed: IndexError: Target 2 is out of bounds"),
        ({"model": lambda: 5}, "task t: model must return a torch.nn.Module, got int"),
        ({"model": partial(mlp, (2,))}, "task t: making the network failed: ValueError: sizes must name"),
        ({"loss": partial(cross_entropy, reduction="none")}, "the loss must return a tensor of one number"),
        ({"metric": Metric("broken", "Broken", broken)}, "the metric failed: RuntimeError: broken"),
        (
            {"train": Examples(torch.rand(60, 2), torch.rand(60)), "model": partial(mlp, (2, 1)), "loss": mse_loss},
            r"outputs are \(1,\) float32 but targets \(\) float32 each: reshape one",
        ),
    ],
)
def test_a_check_says_which_of_network_loss_and_metric_does_not_fit(settings, message):
    with pytest.raises(ValueError, match=message):
        Task(**{"model": SMALL, "loss": cross_entropy, "train": classes(), "name": "t", **settings}).check()


def test_fingerprints_are_equal_for_equal_tasks_alone():
    changes = {
        "data": task(classes(seed=1)),
        "parts": with_parts(),
        "network": Task(partial(mlp, (2, 5, 3)), cross_entropy, classes(), metric=ACCURACY),
        "loss": Task(SMALL, partial(cross_entropy, label_smoothing=0.1), classes(), metric=ACCURACY),
        "lambda": Task(SMALL, lambda outputs, targets: cross_entropy(outputs, targets), classes(), metric=ACCURACY),
        "metric": task(metric=None),
        "batch size": task(batch_size=16),
        "epochs": task(epochs=3),
        "standardise": task(standardise=False),
    }
    prints = [changed.fingerprint() for changed in changes.values()]
    assert len({*prints, task().fingerprint()}) == 1 + len(changes)
    assert task(name="other", title="Other").fingerprint() == task().fingerprint()


def test_a_task_travels_by_pickle_without_what_was_made_of_its_data(generator):
    calls = []
    lazy = task(lambda: calls.append(1) or classes())
    expected = lazy.workload(generator())
    fingerprint = lazy.fingerprint()
    size = len(cloudpickle.dumps(lazy))
    travelled = cloudpickle.loads(cloudpickle.dumps(lazy))
    assert size < 5000
    assert travelled.fingerprint() == fingerprint
    found = travelled.workload(generator())
    assert torch.equal(found.train.inputs, expected.train.inputs)
    assert found.data_hash == expected.data_hash
    assert lazy.workload(generator(1)).data_hash  # and the one that stayed keeps what it has
    assert len(calls) == 1


def test_checksums_of_arrays_are_named_after_the_parts():
    sums = with_parts().checksums()
    assert set(sums) == {f"{part}.{kind}" for part in ("train", "val", "test") for kind in ("inputs", "targets")}
    assert all(len(checksum) == 64 for checksum in sums.values())


def test_a_tensor_hash_tells_values_shapes_and_types_apart():
    zeros = torch.zeros(4)
    hashes = {tensor_hash(t) for t in (zeros, zeros.reshape(2, 2), zeros.int(), torch.ones(4))}
    assert len(hashes) == 4
    assert tensor_hash(zeros) == tensor_hash(torch.zeros(4))
    assert tensor_hash(torch.zeros(0)) == tensor_hash(torch.zeros(0))

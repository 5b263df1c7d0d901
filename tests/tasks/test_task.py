"""Splits, preprocessing, and what a trial may see."""

import dataclasses

import pytest
import torch

from thalweg.tasks import TASKS, Examples, Workload, accuracy, stratified_split
from thalweg.tasks.task import tensor_hash


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_split_is_60_20_20_in_every_class_and_uses_every_row_once():
    targets = torch.tensor([0] * 50 + [1] * 20 + [2] * 7)
    train, validation, test = stratified_split(targets, generator())
    assert torch.cat([train, validation, test]).sort().values.tolist() == list(range(77))
    assert targets[train].bincount().tolist() == [30, 12, 5]
    assert targets[validation].bincount().tolist() == [10, 4, 1]
    assert targets[test].bincount().tolist() == [10, 4, 1]


def test_a_split_depends_on_its_generator_alone():
    targets = torch.arange(3).repeat(20)
    first, again, other = (stratified_split(targets, generator(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[2], other[2])


@pytest.mark.parametrize("name", TASKS)
def test_inputs_are_standardised_on_the_training_part_alone(name):
    workload, test = TASKS[name]().workload_and_test(generator())
    deviation = workload.train.inputs.std(dim=0, correction=0)
    varying = deviation > 0
    assert workload.train.inputs.mean(dim=0).abs().max() < 1e-5
    assert deviation[varying].sub(1).abs().max() < 1e-4
    for part in (workload.validation, test):  # the same shift, so their own means are not zero
        assert part.inputs[:, varying].mean(dim=0).abs().max() > 1e-3


def test_a_workload_holds_no_test_part():
    workload, test = TASKS["iris"]().workload_and_test(generator())
    parts = {f.name for f in dataclasses.fields(Workload) if isinstance(getattr(workload, f.name), Examples)}
    assert parts == {"train", "validation"}
    assert len(workload.train) + len(workload.validation) + len(test) == 150


def test_the_workload_is_the_same_with_and_without_the_test_part():
    task = TASKS["wine"]()
    alone, (beside, _) = task.workload(generator(3)), task.workload_and_test(generator(3))
    assert torch.equal(alone.train.inputs, beside.train.inputs)
    assert alone.data_hash == beside.data_hash


@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [("iris", (150, 4), 3), ("wine", (178, 13), 3), ("breast_cancer", (569, 30), 2), ("digits", (1797, 64), 10)],
)
def test_bundled_tasks_have_their_data_and_a_network_that_fits(name, shape, classes):
    task = TASKS[name]()
    examples = task.load()
    assert task.name == name
    assert examples.inputs.shape == shape
    assert len(examples.targets.unique()) == classes
    assert task.network(generator())(examples.inputs[:5]).shape == (5, classes)


def test_accuracy_is_the_share_of_rows_whose_largest_output_is_the_target():
    outputs = torch.tensor([[2.0, 1.0], [0.0, 1.0], [3.0, 4.0], [1.0, 0.0]])
    assert accuracy(outputs, torch.tensor([0, 1, 0, 1])) == 0.5


def test_a_tensor_hash_tells_values_shapes_and_types_apart():
    zeros = torch.zeros(4)
    hashes = {tensor_hash(t) for t in (zeros, zeros.reshape(2, 2), zeros.int(), torch.ones(4))}
    assert len(hashes) == 4
    assert tensor_hash(zeros) == tensor_hash(torch.zeros(4))

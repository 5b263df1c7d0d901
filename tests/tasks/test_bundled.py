"""The tasks that come with the package."""

import pytest

from thalweg.tasks import TASKS
from thalweg.tasks.task import tensor_hash

SHAPES = {
    "iris": ((150, 4), 3),
    "wine": ((178, 13), 3),
    "breast_cancer": ((569, 30), 2),
    "digits": ((1797, 64), 10),
    "modular_addition": ((961, 2), 31),
    "modular_addition_gru": ((961, 2), 31),
}
# Split and weights of seed 0 as they were in the first race: records made then are of these.
FIRST = {
    "iris": ("d01186ffeef86d22", "336106d0b90f3a47"),
    "wine": ("2cf2375717ea203e", "a039eaa1e477fcef"),
    "breast_cancer": ("6123ddbf367219e9", "98a956b775b017ba"),
    "digits": ("829ae4ec3d610427", "dec4ff30e2464f4a"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_task_has_its_data_and_a_network_that_fits(name, generator):
    shape, classes = SHAPES[name]
    task = TASKS[name]()
    examples = task.train()
    assert task.name == name
    assert examples.inputs.shape == shape
    assert len(examples.targets.unique()) == classes
    assert task.check()(examples.inputs[:5]).shape == (5, classes)


@pytest.mark.parametrize("name", FIRST)
def test_splits_and_weights_are_those_of_the_first_race(name, generator):
    workload = TASKS[name]().workload(generator())
    assert (workload.data_hash, tensor_hash(*workload.network(generator()).parameters())) == FIRST[name]


def test_diabetes_is_a_regression_of_targets_with_mean_0_and_deviation_1(generator):
    task = TASKS["diabetes"]()
    workload, test = task.workload_and_test(generator())
    assert len(workload.train) + len(workload.validation) + len(test) == 442
    assert workload.train.targets.shape == (266, 1)
    assert workload.train.targets.mean().abs() < 1e-5
    assert task.metric.name == "r2"
    task.check()

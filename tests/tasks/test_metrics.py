"""Metrics against their definitions, alone and for a whole cohort."""

import math

import pytest
import torch
from sklearn.metrics import r2_score
from torch.nn.functional import mse_loss

from thalweg.tasks import ACCURACY, R2, accuracy
from thalweg.tasks.metrics import named_metric, negative_loss


def test_accuracy_is_the_share_of_rows_whose_largest_output_is_the_target():
    outputs = torch.tensor([[2.0, 1.0], [0.0, 1.0], [3.0, 4.0], [1.0, 0.0]])
    assert accuracy(outputs, torch.tensor([0, 1, 0, 1])) == 0.5


def test_accuracy_of_sequences_is_that_over_all_places():
    outputs = torch.zeros(2, 5, 3)
    outputs[:, 4] = 1
    assert accuracy(outputs, torch.tensor([[4, 4, 0], [4, 1, 4]])).item() == pytest.approx(4 / 6)


def test_r2_is_the_share_of_variance_explained(generator):
    targets = torch.randn(30, 2, generator=generator())
    outputs = targets + 0.5 * torch.randn(30, 2, generator=generator(1))
    expected = r2_score(targets, outputs, multioutput="variance_weighted")
    assert R2.function(outputs, targets).item() == pytest.approx(expected, rel=1e-6)
    assert R2.function(targets, targets).item() == 1
    assert R2.function(targets.mean(dim=0).expand(30, 2), targets).item() == pytest.approx(0, abs=1e-6)


def test_r2_is_cut_off_at_its_worst():
    targets = torch.tensor([[0.0], [1.0]])
    assert R2.function(targets + 100, targets).item() == R2.worst == -1


@pytest.mark.parametrize("metric", [ACCURACY, R2], ids=lambda metric: metric.name)
def test_a_metric_judges_a_cohort_as_it_judges_each_member(metric, generator):
    outputs = torch.randn(4, 20, 3, generator=generator())
    targets = torch.randint(3, (4, 20), generator=generator()) if metric is ACCURACY else torch.rand(4, 20, 3)
    together = torch.vmap(metric.function)(outputs, targets)
    alone = [metric.function(o, t) for o, t in zip(outputs, targets, strict=True)]
    torch.testing.assert_close(together, torch.stack(alone))


def test_without_a_metric_a_task_has_minus_its_loss():
    outputs, targets = torch.tensor([1.0, 3.0]), torch.tensor([1.0, 1.0])
    metric = negative_loss(mse_loss)
    assert metric.function(outputs, targets).item() == -2
    assert not metric.percent
    assert metric.worst is None


def test_a_plain_function_becomes_a_metric_of_its_name():
    def mean_error(outputs, targets):
        return math.fsum((outputs - targets).abs().tolist())

    metric = named_metric(mean_error)
    assert (metric.name, metric.title) == ("mean_error", "Mean error")
    assert metric.function(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 1.0])).item() == 2
    assert named_metric(lambda outputs, targets: 0.0).name == "metric"

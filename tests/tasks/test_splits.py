"""Splits by class, and standardisation by the training part alone."""

import pytest
import torch

from thalweg.tasks import Examples, stratified_split
from thalweg.tasks.splits import Standardiser, split_rows, validation_cut


def test_a_split_is_60_20_20_in_every_class_and_uses_every_row_once(generator):
    targets = torch.tensor([0] * 50 + [1] * 20 + [2] * 7)
    train, validation, test = stratified_split(targets, generator())
    assert torch.cat([train, validation, test]).sort().values.tolist() == list(range(77))
    assert targets[train].bincount().tolist() == [30, 12, 5]
    assert targets[validation].bincount().tolist() == [10, 4, 1]
    assert targets[test].bincount().tolist() == [10, 4, 1]


def test_a_split_depends_on_its_generator_alone(generator):
    targets = torch.arange(3).repeat(20)
    first, again, other = (stratified_split(targets, generator(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[2], other[2])


@pytest.mark.parametrize("targets", [torch.rand(50, 1), torch.zeros(50, 8, dtype=torch.int64)])
def test_without_classes_a_split_is_60_20_20_of_all(targets, generator):
    rows = split_rows(Examples(torch.rand(50, 2), targets), generator())
    assert [len(part) for part in rows] == [30, 10, 10]
    assert torch.cat(rows).sort().values.tolist() == list(range(50))


def test_the_validation_cut_is_a_tenth_of_each_class_and_always_the_same():
    examples = Examples(torch.arange(300.0)[:, None], torch.tensor([0] * 200 + [1] * 100))
    train, validation = validation_cut(examples)
    assert train.targets.bincount().tolist() == [180, 90]
    assert validation.targets.bincount().tolist() == [20, 10]
    assert torch.cat([train.inputs, validation.inputs]).flatten().sort().values.tolist() == list(range(300))
    assert torch.equal(validation.inputs, validation_cut(examples)[1].inputs)


def test_a_standardised_feature_has_mean_0_and_deviation_1_and_a_constant_one_is_0(generator):
    values = torch.rand(40, 3, generator=generator()) * torch.tensor([1.0, 50.0, 0.0]) + 7
    standardised = Standardiser(values)(values)
    assert standardised.mean(dim=0).abs().max() < 1e-5
    assert standardised.std(dim=0, correction=0).tolist() == pytest.approx([1, 1, 0], abs=1e-5)
    assert not standardised[:, 2].any()

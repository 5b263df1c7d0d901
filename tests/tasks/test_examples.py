"""Data as users have them become examples in memory."""

import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, SubsetRandomSampler, TensorDataset

from thalweg.tasks import Examples
from thalweg.tasks.examples import check_finite, read_examples

X = torch.arange(12.0).reshape(6, 2)
Y = torch.tensor([0, 1, 0, 1, 0, 1])


class Pairs(Dataset):
    """A dataset of which torch knows nothing but its length and its items."""

    def __init__(self, noise=0.0):
        self.noise = noise

    def __len__(self):
        return 6

    def __getitem__(self, index):
        if index >= 6:
            raise IndexError
        return (X[index] + self.noise * torch.rand(2)).numpy(), int(Y[index])


class Stream(IterableDataset):
    """A dataset that gives its items one after another and has no length."""

    def __iter__(self):
        return zip(X, Y, strict=True)


@pytest.mark.parametrize(
    "data",
    [
        Examples(X, Y),
        (X, Y),
        [X.numpy(), Y.numpy()],
        (X.tolist(), Y.tolist()),
        TensorDataset(X, Y),
        Subset(TensorDataset(X.repeat(2, 1), Y.repeat(2)), range(6)),
        Pairs(),
        DataLoader(TensorDataset(X, Y), batch_size=4, shuffle=True, drop_last=True),
        DataLoader(Pairs(), batch_size=4, shuffle=True),
        DataLoader(Stream(), batch_size=4),
        lambda: (X, Y),
        lambda: DataLoader(Pairs()),
    ],
    ids=[
        *("examples", "tensors", "arrays", "lists", "tensor dataset", "subset", "dataset", "loader of tensors"),
        *("loader", "stream", "function", "function of a loader"),
    ],
)
def test_all_forms_of_data_give_the_same_examples(data):
    examples = read_examples(data, "train")
    assert torch.equal(examples.inputs, X)
    assert torch.equal(examples.targets, Y)
    assert (examples.inputs.dtype, examples.targets.dtype) == (torch.float32, torch.int64)
    assert examples.inputs.is_contiguous()


def test_a_dataset_that_draws_is_read_the_same_each_time_and_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    first, second = (read_examples(Pairs(noise=1.0), "train").inputs for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, X)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_loader_collates_as_it_was_told():
    def negative(pairs):
        return -torch.stack([x for x, _ in pairs]), torch.stack([y for _, y in pairs])

    examples = read_examples(DataLoader(TensorDataset(X, Y), batch_size=4, collate_fn=negative), "train")
    assert torch.equal(examples.inputs, -X)


def test_a_loader_without_a_batch_size_gives_batches_already():
    batches = [(X[:4], Y[:4]), (X[4:], Y[4:])]
    examples = read_examples(DataLoader(batches, batch_size=None), "train")
    assert torch.equal(examples.inputs, X)
    assert torch.equal(examples.targets, Y)


@pytest.mark.parametrize(
    ("inputs", "targets", "dtypes"),
    [
        (X.double(), Y.int(), (torch.float32, torch.int64)),
        (X.long(), Y.double(), (torch.int64, torch.float32)),
        (X.half(), Y.bool(), (torch.float32, torch.int64)),
    ],
)
def test_floats_become_float32_and_whole_numbers_int64(inputs, targets, dtypes):
    examples = read_examples((inputs, targets), "train")
    assert (examples.inputs.dtype, examples.targets.dtype) == dtypes


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((X, Y[:4]), "train has 6 inputs but 4 targets"),
        ((X[:0], Y[:0]), "train is empty"),
        ((X.to(torch.uint8), Y), "train inputs are uint8: divide pixels by 255"),
        ((torch.tensor(1.0), Y), "train inputs are one number"),
        ((X.to(torch.complex64), Y), "train inputs are complex"),
        (([[1.0], [1.0, 2.0]], [0, 1]), "train inputs cannot become one tensor"),
        ("iris.csv", "train must be Examples, a Dataset, .* got str"),
        (lambda: 1 / 0, r"train: .*<lambda>\(\) failed: ZeroDivisionError"),
        (DataLoader(TensorDataset(X, Y), sampler=SubsetRandomSampler([0, 1])), "SubsetRandomSampler may leave"),
        (TensorDataset(X), "train: reading its TensorDataset failed"),
    ],
)
def test_data_that_cannot_be_read_say_so(data, message):
    with pytest.raises(ValueError, match=message):
        read_examples(data, "train")


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_the_first_number_that_is_not_finite_is_named(bad):
    inputs = X.clone()
    inputs[4, 1] = inputs[5, 0] = bad
    with pytest.raises(
        ValueError, match="inputs hold 2 numbers that are NaN or infinite, the first in row 4, column 1"
    ):
        check_finite(Examples(inputs, Y), "train")


def test_large_numbers_are_finite_though_their_sum_is_not():
    check_finite(Examples(torch.full((6, 2), 3e38), Y), "train")
    assert torch.full((6, 2), 3e38).sum() == torch.inf

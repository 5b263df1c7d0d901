"""Whatever is bred and trained, no result depends on how many processes there are, nor on which of them does what."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import thalweg
from thalweg.evolve import search
from thalweg.evolve.archive import Archive
from thalweg.race.engine import executor
from thalweg.tasks import ACCURACY, Task
from thalweg.tasks.models import mlp

FEW = {"controls": False, "race": False, "finalists": 3, "choices": 3, "tests": 10}
TINY = {"population": 20, "batch": 20, "tournament": 4, "elites": 4, "contenders": 4, "seeds": 3}


def blobs(dropout: float = 0.0) -> Task:
    generator = torch.Generator().manual_seed(5)
    targets = torch.randint(3, (150,), generator=generator)
    inputs = torch.randn(150, 4, generator=generator) + 1.5 * nn.functional.one_hot(targets, 4)
    return Task(
        lambda generator: mlp((4, 8, 3), generator, dropout), cross_entropy, (inputs, targets),
        metric=ACCURACY, name="blobs", epochs=3,
    )  # fmt: skip


def halves() -> Task:
    x = torch.randn(90, 3, generator=torch.Generator().manual_seed(1))
    return Task(
        lambda generator: mlp((3, 4, 2), generator), cross_entropy, (x, (x[:, 0] > 0).long()), metric=ACCURACY,
        name="halves", epochs=2,
    )  # fmt: skip


def branching() -> Task:
    """A value of the data decides what is worked out, so that its networks cannot be stacked."""

    class Branching(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x) if x.sum().item() < 1e9 else self.inner(-x)

    whole = blobs()
    return Task(
        lambda generator: Branching(mlp((4, 8, 3), generator, 0.1)), cross_entropy, whole.train,
        metric=ACCURACY, name="branching", epochs=1,
    )  # fmt: skip


EVOLUTIONS = {
    "trees": (lambda: blobs(), {"budget": "80c", **TINY, "islands": 2, "migration": 2, "control": 0.2}),
    "trees and dropout": (lambda: blobs(0.2), {"budget": "60c", **TINY}),
    "the paper's grammar": (lambda: blobs(), {"budget": "60c", "preset": "paper", "floor": 0.5}),
    "several tasks": (lambda: [blobs(), halves()], {"budget": "60c", **TINY, "across": "rank"}),
    "a network that cannot be stacked": (branching, {"budget": "24c", **TINY, "population": 12, "batch": 12}),
}


@pytest.fixture(scope="module")
def processes():
    with executor(None, 2) as pool:
        yield pool


@pytest.mark.slow
@pytest.mark.parametrize("name", EVOLUTIONS)
def test_two_processes_come_to_what_one_comes_to(name, processes, tmp_path, monkeypatch):
    monkeypatch.setattr(search, "LEAST_JOB", 2)  # several jobs a batch
    tasks, asked = EVOLUTIONS[name]

    def came_to(store, **where):
        found = thalweg.evolve(tasks(), store=store, **asked, **FEW, **where)
        with Archive(store / "archive.sqlite") as archive:
            return archive.dump(), found.report().read_text(), found.optimizer.read_text()

    one, two = came_to(tmp_path / "one", workers=1), came_to(tmp_path / "two", engine=processes)
    for ours, theirs in zip(one, two, strict=True):
        assert ours == theirs

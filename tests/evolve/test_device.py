"""Where candidates are trained: on a GPU one after another, with all that they need there; elsewhere it is refused."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

import thalweg
from thalweg.evolve.evaluation import Job, Plan, evaluate
from thalweg.evolve.session import Session
from thalweg.race.jobs import versions
from thalweg.race.seeds import Seed
from thalweg.rules import Rule
from thalweg.tasks import Task
from thalweg.tasks.metrics import ACCURACY
from thalweg.tasks.models import mlp

RULES = [
    Rule("descent", "w = w - 0.1*g"),
    Rule("momentum", "v = 0.9*v + g\nw = w - 0.03*v"),
    Rule("blown up", "w = w + 1e30*g"),
]
SEED = Seed(3, "blobs", 1)


def data() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    targets = torch.randint(3, (100,), generator=generator)
    return torch.randn(100, 4, generator=generator) + 2 * torch.nn.functional.one_hot(targets, 4), targets


def task(dropout: float = 0.0) -> Task:
    model = partial(mlp, (4, 8, 3), dropout=dropout)
    return Task(model, cross_entropy, data, metric=ACCURACY, name="blobs", batch_size=16, epochs=2)


def test_without_a_gpu_one_is_refused_at_once_and_so_is_what_is_no_device(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for device, said in (
        ("cuda", "device is cuda, but torch finds no GPU here: give cpu"),
        ("gpu0", "device must be like cpu, cuda or cuda:1, got 'gpu0'"),
    ):
        with pytest.raises(ValueError, match=said):
            thalweg.evolve("iris", store=tmp_path / "store", device=device)
    assert not (tmp_path / "store").exists()


def test_a_job_trains_on_the_device_of_the_plan(monkeypatch):
    asked = []

    class Watched(Session):
        def __init__(self, *arguments, device, **named):
            asked.append(device)
            super().__init__(*arguments, **named)

    monkeypatch.setattr("thalweg.evolve.evaluation.Session", Watched)
    plan = Plan(0, None, proxy=False, rungs=(), trials=1, floor=None, device="cuda:1")
    evaluate(versions(), [task()], plan, Job(tuple(RULES), (0, 0, 1), (True,) * 3))
    assert asked == ["cuda:1"] * 2


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_nothing_is_left_on_the_cpu(monkeypatch, dropout):
    """On torch's device without memory, whose tensors no operation takes together with those of the CPU."""
    own, generator = task(dropout), torch.Generator
    own.workload(SEED.generator(0))  # read and checked here

    def told(method, answer):
        whole = getattr(Tensor, method)
        monkeypatch.setattr(Tensor, method, lambda x: answer(x) if x.is_meta else whole(x))

    told("__bool__", lambda x: True)
    told("__float__", lambda x: 0.5)
    told("cpu", lambda x: torch.zeros(x.shape, dtype=x.dtype))
    monkeypatch.setattr(torch, "Generator", lambda device="cpu": generator())  # it has none of its own
    session = Session(RULES[:2], own, SEED, device="meta")
    session.advance(1)
    assert session.singly == 2
    assert session.examples.tolist() == [60, 60]
    assert session.results()[1].tolist() == [0.5, 0.5]
    assert session.test_scores().shape == (2,)
    assert session.untrained() == (0.5, 0.5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_comes_to_what_the_cpu_comes_to_but_for_rounding():
    sessions = [Session(RULES, task(), SEED, device=device) for device in ("cpu", "cuda")]
    for session in sessions:
        session.advance(2)
    for ours, theirs in zip(*(session.results() for session in sessions), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3)
    assert [session.singly for session in sessions] == [0, len(RULES)]

"""A task over sequences that small networks learn in seconds: which token came first."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from thalweg.tasks import ACCURACY, Examples, Task
from thalweg.tasks.models import gru, transformer

TOKENS, LENGTH, COUNT = 8, 12, 1000


def recall() -> Task:
    """The first of twelve random tokens, when the last has come: a gated recurrent network must carry it along."""
    return _recall(partial(gru, TOKENS, TOKENS, width=32), "recall", "GRU")


def recall_transformer() -> Task:
    """The same for a transformer, which has to look back."""
    model = partial(transformer, TOKENS, LENGTH, TOKENS, width=32, heads=4, layers=1)
    return _recall(model, "recall_transformer", "transformer")


def _recall(model: Callable[[torch.Generator], nn.Module], name: str, network: str) -> Task:
    title = f"Recall of the first of twelve tokens, {network}"
    return Task(model, cross_entropy, sequences, metric=ACCURACY, name=name, title=title, batch_size=32, epochs=10)


@cache
def sequences() -> Examples:
    """int64 tokens (1000, 12), always the same, and the first of each as its class."""
    tokens = torch.randint(TOKENS, (COUNT, LENGTH), generator=torch.Generator().manual_seed(0))
    return Examples(tokens, tokens[:, 0].clone())

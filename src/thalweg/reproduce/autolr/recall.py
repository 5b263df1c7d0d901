"""A task over sequences that small networks learn in seconds: which token came first."""

from __future__ import annotations

from functools import cache, partial

import torch
from torch.nn.functional import cross_entropy

from thalweg.tasks import ACCURACY, Examples, Task
from thalweg.tasks.models import gru

TOKENS, LENGTH, COUNT = 8, 12, 1000


def recall() -> Task:
    """The first of twelve random tokens, when the last has come: a gated recurrent network must carry it along."""
    model = partial(gru, TOKENS, TOKENS, width=32)
    title = "Recall of the first of twelve tokens, GRU"
    return Task(model, cross_entropy, sequences, metric=ACCURACY, name="recall", title=title, batch_size=32, epochs=10)


@cache
def sequences() -> Examples:
    """int64 tokens (1000, 12), always the same, and the first of each as its class."""
    tokens = torch.randint(TOKENS, (COUNT, LENGTH), generator=torch.Generator().manual_seed(0))
    return Examples(tokens, tokens[:, 0].clone())

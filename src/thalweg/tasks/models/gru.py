"""A gated recurrent network over tokens."""

import math

import torch
from torch import Tensor, nn

from thalweg.tasks.dropout import Dropout
from thalweg.tasks.models.layers import Embedding, Linear


def gru(
    tokens: int,
    outputs: int,
    generator: torch.Generator,
    *,
    width: int = 32,
    every_place: bool = False,
    dropout: float = 0.0,
) -> "Recurrent":
    """A gated recurrent unit (Cho et al. 2014, in the form of torch.nn.GRU) from int64 tokens of shape (n, length).

    Its outputs are those of the last place, of shape (n, outputs), or with `every_place` (n, outputs, length). Weights
    and biases are drawn as torch draws them: embeddings standard normal, all else uniform within 1/sqrt(width).

    >>> gru(23, 23, torch.Generator())(torch.zeros(2, 3, dtype=torch.int64)).shape
    torch.Size([2, 23])
    """
    network = Recurrent(tokens, outputs, width, every_place, dropout)
    nn.init.normal_(network.token.weight, generator=generator)
    bound = 1 / math.sqrt(width)
    for part in (network.unit, network.head):
        for weight in part.parameters():
            nn.init.uniform_(weight, -bound, bound, generator=generator)
    return network


class Recurrent(nn.Module):
    """See `gru`."""

    def __init__(self, tokens: int, outputs: int, width: int, every_place: bool, dropout: float) -> None:
        super().__init__()
        self.every_place = every_place
        self.token = Embedding(tokens, width)
        self.unit = GRU(width, width)
        self.dropout = Dropout(dropout)
        self.head = Linear(width, outputs)

    def forward(self, tokens: Tensor) -> Tensor:
        states = self.dropout(self.unit(self.token(tokens)))
        if not self.every_place:
            return self.head(states[:, -1])
        return self.head(states).transpose(1, 2)


class GRU(nn.Module):
    """From (n, length, inputs) to the hidden states (n, length, width), as nn.GRU, which vmap does not take."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.from_input = Linear(inputs, 3 * width)
        self.from_state = Linear(width, 3 * width)

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(x.shape[0], self.width)
        states = []
        for reset_x, update_x, new_x in (gates.chunk(3, dim=-1) for gates in self.from_input(x).unbind(1)):
            reset_h, update_h, new_h = self.from_state(state).chunk(3, dim=-1)
            update = torch.sigmoid(update_x + update_h)
            new = torch.tanh(new_x + torch.sigmoid(reset_x + reset_h) * new_h)
            state = new + update * (state - new)
            states.append(state)
        return torch.stack(states, dim=1)

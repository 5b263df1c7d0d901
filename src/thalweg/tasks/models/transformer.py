"""A small transformer over tokens."""

import math

import torch
from torch import Tensor, nn

from thalweg.tasks.dropout import Dropout
from thalweg.tasks.models.layers import Embedding, Linear


def transformer(
    tokens: int,
    length: int,
    outputs: int,
    generator: torch.Generator,
    *,
    width: int = 32,
    heads: int = 4,
    layers: int = 1,
    every_place: bool = False,
    dropout: float = 0.0,
) -> "Transformer":
    """A pre-norm transformer (Vaswani et al. 2017; Xiong et al. 2020) from int64 tokens of shape (n, length).

    Its outputs are those of the last place, of shape (n, outputs), or with `every_place`, where each place sees itself
    and those before it, (n, outputs, length): the shapes of torch's cross_entropy. Embeddings are normal with standard
    deviation 0.02, linear weights with 1/sqrt(inputs), those that end a residual branch smaller by sqrt(2 layers)
    (Radford et al. 2019), biases zero.

    >>> transformer(23, 3, 23, torch.Generator())(torch.zeros(2, 3, dtype=torch.int64)).shape
    torch.Size([2, 23])
    """
    if width % heads:
        raise ValueError(f"width must be a multiple of heads, got {width} and {heads}")
    network = Transformer(tokens, length, outputs, width, heads, layers, every_place, dropout)
    for name, module in network.named_modules():
        if isinstance(module, Embedding):
            nn.init.normal_(module.weight, std=0.02, generator=generator)
        elif isinstance(module, Linear):
            deviation = 1 / math.sqrt(module.in_features)
            if name.endswith(("attention.out", "shrink")):
                deviation /= math.sqrt(2 * layers)
            nn.init.normal_(module.weight, std=deviation, generator=generator)
    return network


class Transformer(nn.Module):
    """See `transformer`."""

    causal: Tensor

    def __init__(
        self,
        tokens: int,
        length: int,
        outputs: int,
        width: int,
        heads: int,
        layers: int,
        every_place: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.every_place = every_place
        self.token = Embedding(tokens, width)
        self.place = Embedding(length, width)
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(_Block(width, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = Linear(width, outputs)
        mask = torch.full((length, length), -torch.inf).triu(1)
        self.register_buffer("causal", mask if every_place else torch.zeros_like(mask), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.dropout(self.token(tokens) + self.place.weight)
        for block in self.blocks:
            x = block(x, self.causal)
        if not self.every_place:
            return self.head(self.norm(x[:, -1]))
        return self.head(self.norm(x)).transpose(1, 2)


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.first_norm = nn.LayerNorm(width)
        self.attention = _Attention(width, heads)
        self.first_dropout = Dropout(dropout)
        self.second_norm = nn.LayerNorm(width)
        self.widen = Linear(width, 4 * width)
        self.shrink = Linear(4 * width, width)
        self.second_dropout = Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = x + self.first_dropout(self.attention(self.first_norm(x), mask))
        return x + self.second_dropout(self.shrink(torch.relu(self.widen(self.second_norm(x)))))


class _Attention(nn.Module):
    """Written out, because torch's fused attention on a CPU has no rule for vmap and would run member by member."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = Linear(width, 3 * width)
        self.out = Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        n, length, width = x.shape
        query, key, value = self.query_key_value(x).reshape(n, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-1, -2) / math.sqrt(width // self.heads) + mask
        mixed = torch.softmax(scores, dim=-1) @ value
        return self.out(mixed.transpose(1, 2).reshape(n, length, width))

"""A synthetic twin of the cat images, for those who do not have them: as many, as large, as easily told apart."""

from __future__ import annotations

import torch
from torch import Tensor

COUNT, POSITIVES, INPUTS = 209, 72, 12288  # of the originals
KINDS = 12  # patterns that images are mixed of
SEED = 0


def made_images(seed: int = SEED, inputs: int = INPUTS) -> tuple[Tensor, Tensor]:
    """Images in (0, 1), (209, inputs) in float64, and labels, (209, 1), of which 72 are 1.

    An image is a mixture of patterns, with noise in every pixel; its label is 1 where the first pattern, and a little
    the product of the next two, are strong. The mean of all pixels is that of the originals, 0.40.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    strength = normal(COUNT, KINDS)
    score = strength[:, 0] + 0.5 * strength[:, 1] * strength[:, 2]
    labels = (score >= score.topk(POSITIVES).values[-1]).to(torch.float64).unsqueeze(1)
    mixed = 2 * strength @ normal(KINDS, inputs) / KINDS**0.5
    return torch.sigmoid(mixed + normal(COUNT, inputs) - 0.7), labels

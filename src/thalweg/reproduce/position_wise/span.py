"""An exact speed-up for few examples of many inputs: training in the span of the examples.

With examples as the rows of X (n, d), n < d, let X' = Q R with orthonormal columns in Q (d, n). The first layer sees
its inputs through X W' = R' (W Q)' alone, and a gradient with respect to W is some G X = G R' Q': it lies in the span
of Q, where it is G R', the gradient with respect to W Q. So steps that are linear in the gradient do to W Q, with R' in
place of X, what they do to W, but for rounding; the rest of W never changes. For 209 images of 12,288 numbers the first
layer has a sixtieth of the multiplications.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def in_span(x: Tensor, weights: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Examples (n, min(n, d)) and weights that gradient descent trains as it trains these: x (n, d), and the first of
    the weights (units, d)."""
    q, r = torch.linalg.qr(x.T)
    return r.T.contiguous(), [weights[0] @ q.to(weights[0].dtype), *weights[1:]]

"""Torch's layers without luck: they do not draw their weights, which torch's own do from the global generator."""

from torch import nn


class Linear(nn.Linear):
    """A linear layer whose weights wait for their initialisation; its bias is zero."""

    def reset_parameters(self) -> None:
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class Conv2d(nn.Conv2d):
    """A convolution whose weights wait for their initialisation; its bias is zero."""

    def reset_parameters(self) -> None:
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class Embedding(nn.Embedding):
    """An embedding whose weights wait for their initialisation."""

    def reset_parameters(self) -> None:
        self._fill_padding_idx_with_zero()

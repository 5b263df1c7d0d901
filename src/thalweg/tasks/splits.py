"""Splits: which rows train, which choose, which test; and standardisation by the training part alone."""

import torch
from torch import Tensor

from thalweg.tasks.examples import Examples

VALIDATION_SHARE = 0.2
TEST_SHARE = 0.2
CUT_SHARE = 0.1  # of the training part, where a data set comes with a test part but no validation part
CUT_SEED = 0  # that cut is one and the same for every seed of a race


def stratified_split(targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Row numbers of train, validation and test: each class is shuffled, then cut 60/20/20 (rounded to whole rows)."""
    train, validation, test = _cut(targets, (VALIDATION_SHARE, TEST_SHARE), generator)
    return train, validation, test


def split_rows(examples: Examples, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Row numbers of train, validation and test, 60/20/20: stratified where there are classes, else at random."""
    return stratified_split(_strata(examples), generator)


def validation_cut(examples: Examples) -> tuple[Examples, Examples]:
    """Train and validation: a tenth of the examples is cut off, stratified where there are classes, always the same."""
    train, validation = _cut(_strata(examples), (CUT_SHARE,), torch.Generator().manual_seed(CUT_SEED))
    return examples[train], examples[validation]


class Standardiser:
    """Shifts and scales inputs so that those it was made from have mean 0 and standard deviation 1 in every feature."""

    def __init__(self, values: Tensor) -> None:
        self.mean = values.mean(dim=0)
        deviation = values.std(dim=0, correction=0)
        self.scale = torch.where(deviation > 0, deviation, 1.0)  # a pixel that is blank everywhere stays zero

    def __call__(self, values: Tensor) -> Tensor:
        return (values - self.mean) / self.scale


def _strata(examples: Examples) -> Tensor:
    return examples.targets if examples.classified else torch.zeros(len(examples))  # else all are of one stratum


def _cut(strata: Tensor, shares: tuple[float, ...], generator: torch.Generator) -> list[Tensor]:
    """Row numbers, ascending, of the parts: first what is left over, then one part a share."""
    parts: list[list[Tensor]] = [[] for _ in range(1 + len(shares))]
    for label in strata.unique():
        rows = torch.nonzero(strata == label).flatten()
        rows = rows[torch.randperm(len(rows), generator=generator)]
        sizes = [round(share * len(rows)) for share in shares]
        for part, chunk in zip(parts, rows.split([len(rows) - sum(sizes), *sizes]), strict=True):
            part.append(chunk)
    return [torch.cat(part).sort().values for part in parts]

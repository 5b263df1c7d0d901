"""The tasks whose data come with scikit-learn: real data, no download. A new task is one function here."""

from functools import cache, partial

import torch
from torch.nn.functional import cross_entropy, mse_loss

from thalweg.tasks.examples import Examples
from thalweg.tasks.metrics import ACCURACY, R2
from thalweg.tasks.models import mlp
from thalweg.tasks.task import Task


def iris() -> Task:
    """Three species of iris from four measurements of a flower: 150 examples (Fisher 1936)."""
    return _classification("iris", "Iris", sizes=(4, 32, 3), batch_size=32, epochs=30)


def wine() -> Task:
    """Three cultivars of wine from 13 chemical measurements: 178 examples (Forina et al. 1988)."""
    return _classification("wine", "Wine", sizes=(13, 32, 3), batch_size=32, epochs=16)


def breast_cancer() -> Task:
    """Malignant or benign from 30 measurements of cell nuclei: 569 examples (Wolberg et al. 1995)."""
    return _classification("breast_cancer", "Breast cancer", sizes=(30, 32, 2), batch_size=64, epochs=12)


def digits() -> Task:
    """Ten handwritten digits from 8x8 pixels: 1797 examples (Alpaydin and Kaynak 1998)."""
    return _classification("digits", "Digits", sizes=(64, 64, 10), batch_size=128, epochs=16)


def diabetes() -> Task:
    """How far diabetes went in a year, a number, from ten measurements: 442 examples (Efron et al. 2004)."""
    return Task(
        partial(mlp, (10, 32, 1)),
        mse_loss,
        partial(_regression, "diabetes"),
        metric=R2,
        name="diabetes",
        title="Diabetes",
        batch_size=32,
        epochs=20,
        standardise_targets=True,
        source="scikit-learn",
    )


def _classification(name: str, title: str, *, sizes: tuple[int, ...], batch_size: int, epochs: int) -> Task:
    return Task(
        partial(mlp, sizes),
        cross_entropy,
        partial(_classes, name),
        metric=ACCURACY,
        name=name,
        title=title,
        batch_size=batch_size,
        epochs=epochs,
        source="scikit-learn",
    )


@cache
def _classes(name: str) -> Examples:
    from sklearn import datasets  # a second, which whoever only lists tasks need not wait for

    inputs, targets = getattr(datasets, f"load_{name}")(return_X_y=True)
    return Examples(torch.as_tensor(inputs, dtype=torch.float32), torch.as_tensor(targets, dtype=torch.int64))


@cache
def _regression(name: str) -> Examples:
    from sklearn import datasets

    inputs, targets = getattr(datasets, f"load_{name}")(return_X_y=True)
    return Examples(
        torch.as_tensor(inputs, dtype=torch.float32), torch.as_tensor(targets, dtype=torch.float32).reshape(-1, 1)
    )

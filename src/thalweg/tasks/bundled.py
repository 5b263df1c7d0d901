"""The four tasks whose data come with scikit-learn: real data, no download. A new task is one function here."""

from collections.abc import Callable
from functools import cache, partial

import torch
from sklearn import datasets
from torch.nn.functional import cross_entropy

from thalweg.tasks.networks import mlp
from thalweg.tasks.task import Examples, Task, accuracy


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


TASKS: dict[str, Callable[[], Task]] = {task.__name__: task for task in (iris, wine, breast_cancer, digits)}


def _classification(name: str, title: str, *, sizes: tuple[int, ...], batch_size: int, epochs: int) -> Task:
    return Task(
        name=name,
        title=title,
        load=partial(_load, name),
        network=partial(mlp, sizes),
        loss=cross_entropy,
        metric=accuracy,
        batch_size=batch_size,
        epochs=epochs,
    )


@cache
def _load(name: str) -> Examples:
    inputs, targets = getattr(datasets, f"load_{name}")(return_X_y=True)
    return Examples(torch.as_tensor(inputs, dtype=torch.float32), torch.as_tensor(targets, dtype=torch.int64))

"""A search space: the dimensions in which a method is tuned, the first of them its learning rate as a rule."""

from collections.abc import Mapping

from thalweg.race.record import Value
from thalweg.race.spaces.dimensions import Dimension

Space = tuple[Dimension, ...]


def check_space(space: Space, hyperparameters: Mapping[str, Value]) -> None:
    """Raises ValueError, naming the dimension, if it cannot search these hyperparameters or is there twice."""
    for place, dimension in enumerate(space):
        try:
            dimension.check(hyperparameters)
        except ValueError as error:
            raise ValueError(f"cannot search {dimension}: {error}") from error
        if overlapping(dimension, space[:place]):
            raise ValueError(f"space must hold each hyperparameter once, got {dimension} twice")


def overlapping(dimension: Dimension, others: Space) -> bool:
    """Whether one of the others sets the same value, or a part of it."""
    index = getattr(dimension, "index", None)
    return any(
        other.name == dimension.name and (index is None or getattr(other, "index", None) in (None, index))
        for other in others
    )

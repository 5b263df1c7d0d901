"""The search spaces: which hyperparameters of a method are tuned, in which range, the same for every task."""

from thalweg.race.spaces.dimensions import (
    EDGE,
    Choice,
    Dimension,
    Float,
    Integer,
    LogUniform,
    dimension_from_dict,
)
from thalweg.race.spaces.files import common_space, load_space, scales_space, space_of, with_common
from thalweg.race.spaces.space import Space, check_space

__all__ = [
    "EDGE",
    "Choice",
    "Dimension",
    "Float",
    "Integer",
    "LogUniform",
    "Space",
    "check_space",
    "common_space",
    "dimension_from_dict",
    "load_space",
    "scales_space",
    "space_of",
    "with_common",
]

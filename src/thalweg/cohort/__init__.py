"""Many networks of one shape, trained as one: `Cohort` computes the gradients of all of them in one call."""

from thalweg.cohort.cohort import Cohort
from thalweg.cohort.likeness import Unstackable

__all__ = ["Cohort", "Unstackable"]

"""What every strategy has to beat: random search and hill climbing."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from thalweg.search.algorithm import Algorithm, State, initial


@dataclass(frozen=True)
class RandomSearch(Algorithm):
    """Points drawn anew in every generation: uniform in the box, or normal around x0 where there is a sigma0."""

    title = "random search"
    purpose = "The control: whatever does not beat it at equal evaluations has learnt nothing."
    source = "Brooks, A discussion of random methods for seeking maxima, Operations Research 6, 1958"

    population: int = 100

    def init(self, s: State) -> None:
        pass

    def sample(self, s: State) -> Tensor:
        return initial(s, self.population)

    def update(self, s: State, x: Tensor, fitness: Tensor) -> None:
        pass

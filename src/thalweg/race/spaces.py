"""The search spaces: one small table, the same for every task."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from thalweg.race.record import Value

EDGE = 0.05  # a chosen value within this share of its range (in logarithms) is reported as lying at the edge


@dataclass(frozen=True)
class LogUniform:
    """A hyperparameter searched log-uniformly between `low` and `high`.

    `index` is its place if the hyperparameter is a tuple. With `complement` it is 1 - value that is searched, which is
    the natural scale of a decay rate.
    """

    name: str
    low: float
    high: float
    index: int | None = None
    complement: bool = False

    def __str__(self) -> str:
        name = self.name if self.index is None else f"{self.name}[{self.index}]"
        return f"1 - {name}" if self.complement else name

    def with_value_at(self, hyperparameters: Mapping[str, Value], position: float) -> dict[str, Value]:
        """The hyperparameters with this one at a position from 0 (low) to 1 (high)."""
        searched = self.low * (self.high / self.low) ** position
        value = 1 - searched if self.complement else searched
        old = hyperparameters[self.name]
        if isinstance(old, tuple):
            return {**hyperparameters, self.name: tuple(value if i == self.index else v for i, v in enumerate(old))}
        return {**hyperparameters, self.name: value}

    def searched_value(self, hyperparameters: Mapping[str, Value]) -> float:
        """The value of the searched quantity, so 1 - value with `complement`."""
        value = hyperparameters[self.name]
        if isinstance(value, tuple):
            value = value[self.index or 0]
        return 1 - value if self.complement else value

    def edge_warning(self, hyperparameters: Mapping[str, Value]) -> str | None:
        """Says so if the value lies at an edge of the range, or beyond it: a wider range might serve it better."""
        value = self.searched_value(hyperparameters)
        position = math.log(value / self.low) / math.log(self.high / self.low) if value > 0 else 0.0
        if EDGE < position < 1 - EDGE:
            return None
        return f"{self} = {value:.3g} is at the edge of {self.low:g} to {self.high:g}"


Space = tuple[LogUniform, ...]

# Every learning rate is searched over five decades. Where the step is in proportion to the gradient they end at 10,
# where the rule sets the step's length itself at 1 (as in Choi et al. 2019, arXiv 1910.05446).
PROPORTIONAL: Space = (LogUniform("lr", 1e-4, 10),)
NORMALISED: Space = (LogUniform("lr", 1e-5, 1),)
ADES: Space = (
    LogUniform("lr", 1e-4, 10),
    LogUniform("betas", 1e-3, 1, index=0, complement=True),
    LogUniform("betas", 1e-4, 1, index=1, complement=True),
)

SPACES: dict[str, Space] = {
    **dict.fromkeys(("sgd", "heavy_ball", "dampened_momentum", "ema_momentum", "nesterov", "adadelta"), PROPORTIONAL),
    **dict.fromkeys(("gravity", "gravity_ema_noise", "gravity_ema"), PROPORTIONAL),
    **dict.fromkeys(("ades", "ades_heavy_ball", "ades_eq8"), ADES),
}


def space_of(rule: str) -> Space:
    """The space of a gallery rule: its row of the table, or else that of the rules that normalise their steps."""
    return SPACES.get(rule, NORMALISED)

"""Methods, tuning, trials, the run store, statistics and the report. `thalweg.race(...)` runs a race."""

import sys
from types import ModuleType
from typing import Any

from thalweg.race.engine import EngineError, WorkerDied, available_cpus
from thalweg.race.jobs import TrialFailed
from thalweg.race.method import Method, method_from, method_named, with_ablations
from thalweg.race.races import Progress, race
from thalweg.race.recipe import Recipe
from thalweg.race.record import Record
from thalweg.race.result import Protocol, RaceResult
from thalweg.race.spaces import Choice, Float, Integer
from thalweg.race.store import OtherRace, Store, StoreError, load

__all__ = [
    "Choice",
    "EngineError",
    "Float",
    "Integer",
    "Method",
    "OtherRace",
    "Progress",
    "Protocol",
    "RaceResult",
    "Recipe",
    "Record",
    "Store",
    "StoreError",
    "TrialFailed",
    "WorkerDied",
    "available_cpus",
    "load",
    "method_from",
    "method_named",
    "race",
    "with_ablations",
]


class _Room(ModuleType):
    """This room is named after its one function, and `thalweg.race` is both."""

    def __call__(self, *arguments: Any, **named: Any) -> RaceResult:
        return race(*arguments, **named)


sys.modules[__name__].__class__ = _Room

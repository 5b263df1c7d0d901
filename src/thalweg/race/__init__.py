"""Methods, tuning, trials, the run store, statistics and the report."""

from thalweg.race.cell import Protocol
from thalweg.race.engine import WorkerDied, available_cpus
from thalweg.race.method import Method, Training
from thalweg.race.races import RaceResult, method_named, race, with_ablations
from thalweg.race.record import Record
from thalweg.race.report import write_report
from thalweg.race.spaces import LogUniform
from thalweg.race.store import Store, StoreError
from thalweg.race.summary import Summary

__all__ = [
    "LogUniform",
    "Method",
    "Protocol",
    "RaceResult",
    "Record",
    "Store",
    "StoreError",
    "Summary",
    "Training",
    "WorkerDied",
    "available_cpus",
    "method_named",
    "race",
    "with_ablations",
    "write_report",
]

"""Data sets, their splits, and the networks trained on them."""

from thalweg.tasks.catalogue import DATA_TASKS, PRESETS, TASKS, find
from thalweg.tasks.examples import Examples
from thalweg.tasks.folder import DataMissing
from thalweg.tasks.margin import AdditiveMarginSoftmax, Cosines
from thalweg.tasks.metrics import ACCURACY, R2, Metric, accuracy
from thalweg.tasks.models import mlp
from thalweg.tasks.splits import stratified_split
from thalweg.tasks.task import Loss, Task, Workload
from thalweg.tasks.uci import UCI

__all__ = [
    "ACCURACY",
    "DATA_TASKS",
    "PRESETS",
    "R2",
    "TASKS",
    "UCI",
    "AdditiveMarginSoftmax",
    "Cosines",
    "DataMissing",
    "Examples",
    "Loss",
    "Metric",
    "Task",
    "Workload",
    "accuracy",
    "find",
    "mlp",
    "stratified_split",
]

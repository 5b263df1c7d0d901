"""Data sets, their splits, and the networks trained on them."""

from thalweg.tasks.bundled import TASKS
from thalweg.tasks.networks import mlp
from thalweg.tasks.task import Examples, Task, Workload, accuracy, stratified_split

__all__ = ["TASKS", "Examples", "Task", "Workload", "accuracy", "mlp", "stratified_split"]

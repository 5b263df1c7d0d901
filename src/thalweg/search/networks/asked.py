"""What a training was asked for, by which its file is known."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from thalweg.cohort.likeness import copied
from thalweg.search.networks.generations import Training
from thalweg.tasks import Examples
from thalweg.tasks.hashes import described, network_described, tensor_hash


def asked_for(training: Training, **given: Any) -> dict[str, Any]:
    """All that decides how a training goes, but for when it ends: first what it is, then the arguments as `given`."""
    members, algorithm = training.population, training.strategy.algorithm
    return {
        "kind": "train_without_gradients",
        "strategy": {"name": type(algorithm).__name__} | algorithm.hyperparameters(),
        "module": repr(members.module),
        "weights": _weights(members.module),
        "params": members.names,
        "loss_fn": described(members.loss_fn),
        "data": _hash(training.batches.examples),
        "validation": None if training.validation is None else _hash(training.validation),
        "training": members.training,
        "keep": training.keep,
        **given,
    }


def _weights(module: nn.Module) -> str:
    """What tells weights and buffers apart, and how modules that torch does not have compute."""
    state = module.state_dict().values()
    return network_described(copied(module).float() if any(x.dtype == torch.bfloat16 for x in state) else module)


def _hash(examples: Examples) -> str:
    return tensor_hash(_known(examples.inputs), _known(examples.targets))


def _known(x: Tensor) -> Tensor:
    """The tensor in a dtype that NumPy has."""
    return x.float() if x.dtype == torch.bfloat16 else x

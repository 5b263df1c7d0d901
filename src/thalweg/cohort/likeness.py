"""What networks are apart from their tensors, which must be the same for all and stay so, or one trace cannot stand for
them."""

from __future__ import annotations

import copy
import itertools
import pickle
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from thalweg.tasks import dropout


class Unstackable(Exception):
    """A network that `torch.func` cannot vectorise, or not without changing what it does: it has to train alone."""


def check_alike(networks: Sequence[nn.Module]) -> None:
    """Raises ValueError or Unstackable where one program cannot stand for all."""
    if not networks:
        raise ValueError("networks must hold at least one, got none")
    tensors = [dict(itertools.chain(each.named_parameters(), each.named_buffers())) for each in networks]
    shapes = [{name: x.shape for name, x in each.items()} for each in tensors]
    kinds = [[(x.dtype, x.requires_grad) for x in each.values()] for each in tensors]
    dtypes = {w.dtype for w in networks[0].parameters() if w.requires_grad}
    if len(dtypes) != 1 or not next(iter(dtypes)).is_floating_point:
        raise Unstackable(f"the parameters must be of one real dtype, and are {', '.join(map(str, dtypes)) or 'none'}")
    first = remembered(networks[0])
    for i, network in enumerate(networks):
        if shapes[i] != shapes[0]:
            raise ValueError(f"networks must be of one shape, but number {i} differs from the first")
        if kinds[i] != kinds[0] or type(network) is not type(networks[0]):
            raise Unstackable(f"network {i} differs from the first in its class, in a dtype, or in what is frozen")
        others = differing(first, remembered(network))
        if others:
            raise Unstackable(f"network {i} differs from the first in its attribute {others[0]!r}")


def copied(network: nn.Module) -> nn.Module:
    """A copy. Raises Unstackable where it holds what cannot be copied."""
    try:
        return copy.deepcopy(network)
    except Exception as error:  # whatever a user's module holds
        raise Unstackable(f"the network cannot be copied: {error}") from error


_OF_EVERY_MODULE = frozenset(vars(nn.Module()))


def remembered(network: nn.Module) -> dict[str, Any]:
    """What the modules of a network have as plain attributes: numbers, texts, and tensors that are not registered."""
    found: dict[str, Any] = {}
    for path, module in network.named_modules():
        own = {} if isinstance(module, dropout.Dropout) else vars(module)
        for name, value in own.items():
            if isinstance(value, Tensor):
                found[f"{path}.{name}"] = value.detach().clone()
            elif name not in _OF_EVERY_MODULE and _is_plain(value):
                found[f"{path}.{name}"] = value
    return found


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return isinstance(value, (int, float, str, type(None)))


def differing(some: Mapping[str, Any], others: Mapping[str, Any]) -> list[str]:
    """The names under which two networks have different things."""
    missing = object()
    pairs = {name: (some.get(name, missing), others.get(name, missing)) for name in {**some, **others}}
    return [name.lstrip(".") for name, (a, b) in pairs.items() if not _equal(a, b)]


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return torch.equal(a, b)
    return type(a) is type(b) and bool(a == b)


@contextmanager
def spared_generators(device: torch.device) -> Iterator[Callable[[], list[str]]]:
    """Leaves the global generators as they were; what it yields says which of them have been drawn from."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
        before = _generator_states(device)

        def drew() -> list[str]:
            after = _generator_states(device)
            return [name for name, state in before.items() if after[name] != state]

        try:
            yield drew
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


def _generator_states(device: torch.device) -> dict[str, Any]:
    states = {
        "torch": torch.random.get_rng_state().numpy().tobytes(),
        "random": random.getstate(),
        "numpy.random": pickle.dumps(np.random.get_state()),  # noqa: NPY002
    }
    if device.type == "cuda":
        states["torch.cuda"] = torch.cuda.get_rng_state(device).numpy().tobytes()
    return states

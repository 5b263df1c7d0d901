"""How a network is made from a generator of its own, whether or not the user's model takes one."""

import inspect
from collections.abc import Callable
from functools import partial

import torch
from torch import nn

Network = Callable[[torch.Generator], nn.Module]


def network_from(model: Callable[..., nn.Module]) -> Network:
    """The model as a function of a generator.

    A model that has an argument named `generator`, or exactly one that must be given, takes the generator. One that
    needs no argument draws from torch's global generator, as torch's own layers do: that is seeded from the given one
    for as long as the call takes, and then put back as it was. Raises ValueError for anything else.
    """
    if isinstance(model, nn.Module):
        raise ValueError(
            f"model is a network already, which every trial would share: give a function that makes one, such as "
            f"model=lambda: {type(model).__name__}(...)"
        )
    if not callable(model):
        raise ValueError(f"model must be a function that returns a network, got {model!r}")
    parameters = inspect.signature(model).parameters.values()
    gathering = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [p for p in parameters if p.default is p.empty and p.kind not in gathering]
    names = [p.name for p in needed]
    by_name = any(p.name == "generator" and p.kind is not p.POSITIONAL_ONLY for p in parameters)
    if by_name and names in ([], ["generator"]):
        return partial(_with_named_generator, model)
    if len(needed) == 1 and needed[0].kind is not inspect.Parameter.KEYWORD_ONLY:
        return model
    if needed:
        raise ValueError(f"model must take a torch.Generator or nothing, but it needs {', '.join(names)}")
    return partial(_from_global_generator, model)


def _with_named_generator(model: Callable[..., nn.Module], generator: torch.Generator) -> nn.Module:
    return model(generator=generator)


def _from_global_generator(model: Callable[[], nn.Module], generator: torch.Generator) -> nn.Module:
    seed = int(torch.randint(2**63 - 1, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return model()

"""Blocks: the pieces of a network that a sweep updates, and how a network is cut into them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeGuard

from torch import fx, nn
from torch.nn.parallel import DistributedDataParallel

Blocks = nn.Sequential | nn.ModuleList | Sequence[Callable[[Any], Any]]

HOW_TO_CUT = (
    "give a list of modules that, called one after another, are the network: [stem, unit1, unit2, head]; what a skip "
    "connection spans must be one of them"
)


def propose_blocks(module: nn.Module) -> list[nn.Module]:
    """Cuts a network into blocks that, called one after another, are the network; their layers are its own.

    A block begins with a layer that has a matrix or a kernel (a parameter of two dimensions or more) and has what
    follows up to the next: its normalisation, activation, pooling. An `nn.Sequential` is cut between its layers, those
    of an `nn.Sequential` within it too. Any other module is traced by `torch.fx` and cut wherever a single tensor is
    passed on: a residual network between its residual units.

    Raises ValueError, and says how to cut by hand, where the network is not a chain, cannot be traced, or has fewer
    than one layer with a matrix.

    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> [[type(layer).__name__ for layer in block] for block in propose_blocks(net)]
    [['Flatten', 'Linear', 'ReLU'], ['Linear']]
    """
    return _proposed(module, "module")


def _proposed(module: nn.Module, name: str) -> list[nn.Module]:
    check_module(module, name)
    pieces = list(_opened(module)) if _is_chain(module) else _traced(module)
    groups: list[list[nn.Module]] = []
    for piece in pieces:
        begins = any(p.dim() >= 2 for p in piece.parameters())
        if groups and not (begins and any(p.dim() >= 2 for own in groups[-1] for p in own.parameters())):
            groups[-1].append(piece)
        else:
            groups.append([piece])
    if not any(p.dim() >= 2 for p in module.parameters()):
        raise ValueError(f"{name} must have a layer with a matrix or a kernel, got {type(module).__name__} with none")
    return [nn.Sequential(*group) for group in groups]


def cut(blocks: Blocks) -> list[list[Callable[[Any], Any]]]:
    """The pieces of each block, input side first: of an `nn.Sequential` those that are proposed, of a list each entry.
    One without a trainable parameter joins the block before it, the first ones the one behind.

    Raises ValueError where they are not blocks, have nothing to train, or share a parameter.
    """
    if isinstance(blocks, nn.Module) and not isinstance(blocks, nn.ModuleList):
        check_module(blocks, "blocks")
        if not isinstance(blocks, nn.Sequential):
            raise ValueError(
                f"blocks must be an nn.Sequential or a list of blocks, got {type(blocks).__name__}; cut it with "
                f"thalweg.sweep.propose_blocks, or {HOW_TO_CUT}"
            )
        given: list[Any] = list(_proposed(blocks, "blocks"))
    elif isinstance(blocks, (list, tuple, nn.ModuleList)):
        given = list(blocks)
    else:
        raise ValueError(f"blocks must be an nn.Sequential or a list of blocks, got {blocks!r:.80}")
    for place, block in enumerate(given, 1):
        if not callable(block) or isinstance(block, type):
            raise ValueError(f"blocks must be modules or functions, got number {place}: {block!r:.80}")
        if isinstance(block, nn.Module):
            check_module(block, f"block {place}")
    joined: list[list[Callable[[Any], Any]]] = []
    for block in given:
        if joined and not (_trains([block]) and _trains(joined[-1])):
            joined[-1].append(block)
        else:
            joined.append([block])
    if not joined or not _trains(joined[-1]):
        raise ValueError("blocks must have a parameter that requires a gradient, got none")
    _check_own(joined)
    return joined


def parameters_of(pieces: Sequence[Callable[[Any], Any]]) -> list[nn.Parameter]:
    """All parameters of a block, each once."""
    found = [p for piece in pieces if isinstance(piece, nn.Module) for p in piece.parameters()]
    return list(dict.fromkeys(found))


def check_module(module: nn.Module, name: str = "module") -> None:
    """Raises ValueError where it is not a module that can be cut."""
    if not isinstance(module, nn.Module):
        raise ValueError(f"{name} must be an nn.Module, got {module!r:.80}")
    if any(isinstance(own, DistributedDataParallel) for own in module.modules()):
        raise ValueError(
            f"{name} must not be wrapped in DistributedDataParallel, whose hooks a sweep does not reach: give its "
            ".module, and average the gradients of each stage in before_step"
        )
    lazy = [key for key, p in module.named_parameters() if isinstance(p, nn.UninitializedParameter)]
    if lazy:
        raise ValueError(f"{name} has no shape yet for its parameter {lazy[0]!r}: call the network once before")


def _is_chain(module: nn.Module) -> TypeGuard[nn.Sequential]:
    return isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward


def _opened(module: nn.Sequential) -> Iterator[nn.Module]:
    """The layers of a chain, also of those within it; a layer that is in two places comes twice."""
    for layer in module:
        if _is_chain(layer):
            yield from _opened(layer)
        else:
            yield layer


def _trains(pieces: Sequence[Callable[[Any], Any]]) -> bool:
    return any(p.requires_grad for p in parameters_of(pieces))


def _check_own(blocks: Sequence[Sequence[Callable[[Any], Any]]]) -> None:
    """Refuses weights that two blocks share: updated with the one, they would change the other, whose cached output is
    taken to be constant."""
    spans = []
    for place, pieces in enumerate(blocks, 1):
        for piece in pieces:
            named = piece.named_parameters() if isinstance(piece, nn.Module) else ()
            spans += [(str(p.device), *_span(p), place, name) for name, p in named]
    last = ("", 0, 0, 0, "")  # of those that begin before, the one that ends last
    for span in sorted(spans):
        if span[0] == last[0] and span[1] < last[2] and span[3] != last[3]:
            (owner, known), (place, name) = sorted([last[3:], span[3:]])
            raise ValueError(
                f"blocks must not share weights, but {name!r} of block {place} is {known!r} of block {owner}: "
                f"make blocks {owner} to {place} one, nn.Sequential(*blocks[{owner - 1}:{place}])"
            )
        if (span[0], span[2]) > (last[0], last[2]):
            last = span


def _span(p: nn.Parameter) -> tuple[int, int]:
    """From where to where a parameter lies in memory; one that lies nowhere is told by its identity."""
    if not p.data_ptr():
        return id(p), id(p) + 1
    numbers = 1 + sum((size - 1) * stride for size, stride in zip(p.shape, p.stride(), strict=True))
    return p.data_ptr(), p.data_ptr() + numbers * p.element_size()


# Modules that are no chain by themselves


class _Tracer(fx.Tracer):
    """Looks into modules that have others in them, and takes all others as they are."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return super().is_leaf_module(module, name) or not any(True for _ in module.children())


def _traced(module: nn.Module) -> list[nn.Module]:
    """The module as pieces between which a single tensor is passed."""
    try:
        graph = _Tracer().trace(module)
    except Exception as error:  # whatever a user's forward raises when it is traced
        raise ValueError(
            f"{type(module).__name__} cannot be traced by torch.fx ({type(error).__name__}: {error}); {HOW_TO_CUT}"
        ) from error
    _check_graph(module, graph)
    nodes = [node for node in graph.nodes if node.op not in ("get_attr", "output")]
    places = {node: place for place, node in enumerate(nodes)}
    last_read = [max((places.get(user, len(nodes)) for user in node.users), default=0) for node in nodes]
    # Where one value alone is still to be read, the last one, the network can be cut behind it.
    cuts = [i for i in range(len(nodes)) if [last > i for last in last_read[: i + 1]] == [False] * i + [True]]
    returned = next(node for node in graph.nodes if node.op == "output").args[0]
    if cuts[-1:] != [len(nodes) - 1] or returned is not nodes[-1]:
        raise ValueError(f"{type(module).__name__} must return one tensor that it works out last; {HOW_TO_CUT}")
    return [_piece(module, nodes[begin], nodes[begin + 1 : end + 1]) for begin, end in itertools.pairwise(cuts)]


def _check_graph(module: nn.Module, graph: fx.Graph) -> None:
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    if len(inputs) != 1:
        raise ValueError(f"{type(module).__name__} must take one input, and takes {len(inputs)}; {HOW_TO_CUT}")
    for node in graph.nodes:
        if node.op == "call_function" and "dropout" in getattr(node.target, "__name__", ""):
            raise ValueError(
                f"{type(module).__name__} calls {node.target.__name__}, which a trace would fix in training or in "
                f"evaluation for good: use nn.Dropout, or {HOW_TO_CUT}"
            )


def _piece(module: nn.Module, given: fx.Node, nodes: Sequence[fx.Node]) -> nn.Module:
    """Operations that follow each other as a module, which is given one value and whose last is its answer."""
    if len(nodes) == 1 and nodes[0].op == "call_module":
        return module.get_submodule(str(nodes[0].target))
    graph = fx.Graph()
    copies = {given: graph.placeholder("x")}

    def copied(node: fx.Node) -> fx.Node:
        if node not in copies:
            copies[node] = graph.node_copy(node, copied)
        return copies[node]

    for node in nodes:  # all of them: what is changed in place is read by nobody
        copied(node)
    graph.output(copies[nodes[-1]])
    return fx.GraphModule(module, graph)

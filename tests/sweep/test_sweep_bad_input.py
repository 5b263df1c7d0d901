"""What cannot be trained block by block is refused with the argument's name, its value, and what to do."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from sweep.networks import Residual, batch, copies, of_depth, sgd
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from thalweg.sweep import (
    PositionWise,
    block_costs,
    layerwise_lr,
    nested_cost,
    plain_cost,
    propose_blocks,
    stochastic_cost,
)

mse = nn.MSELoss()
X, Y = batch()


def made(network: Any = None, loss_fn: Any = mse, optimizer: Any = None, **options: Any) -> PositionWise:
    network = of_depth(3) if network is None else network
    if optimizer is None:
        layers = network if isinstance(network, (list, tuple)) else [network]
        params = [p for layer in layers if isinstance(layer, nn.Module) for p in layer.parameters()]
        optimizer = torch.optim.SGD(params or [nn.Parameter(torch.ones(1))], lr=0.1)
    return PositionWise(network, loss_fn, optimizer, **options)


def stepped(network: Any = None, loss_fn: Any = mse, x: Any = X, y: Any = Y, **options: Any) -> Tensor:
    return made(network, loss_fn, **options).step(x, y)


def distributed(module: nn.Module) -> nn.Module:
    """Wrapped, as far as one can without a process group."""
    wrapped = DistributedDataParallel.__new__(DistributedDataParallel)
    nn.Module.__init__(wrapped)
    wrapped.module = module
    return wrapped


def tied(transposed: bool = False) -> nn.Sequential:
    layers = [nn.Linear(*shape, dtype=torch.float64) for shape in ((3, 2), (2, 3), (3, 2))]
    network = nn.Sequential(layers[0], nn.Tanh(), *layers[1:])
    if transposed:
        network[2].weight = nn.Parameter(network[0].weight.detach().t())
    else:
        network[3].weight = network[0].weight
    return network


def twice() -> nn.Sequential:
    layer = nn.Linear(3, 3)
    return nn.Sequential(layer, nn.Tanh(), layer)


def frozen() -> nn.Sequential:
    return of_depth(3).requires_grad_(False)


class Branching(nn.Module):
    """What cannot be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) if x.sum() > 0 else x


class Forwards(nn.Module):
    """A layer, and what is done with it."""

    def __init__(self, forward: Callable[..., Any]) -> None:
        super().__init__()
        self.linear, self.of = nn.Linear(3, 2), forward

    def forward(self, x: Tensor) -> Any:
        return self.of(self, x)


class TwoInputs(Branching):
    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.linear(x) * mask


CUT = "give a list of modules that, called one after another, are the network"
NOT_BLOCKS: list[tuple[Callable[[], object], str]] = [
    (lambda: made(tied()), "blocks must not share weights, but '0.weight' of block 3 is '0.weight' of block 1: make "
     "blocks 1 to 3 one, nn.Sequential(*blocks[0:3])"),
    (lambda: made(tied(transposed=True)), "'0.weight' of block 2 is '0.weight' of block 1: make blocks 1 to 2 one"),
    (lambda: made(twice()), "blocks must not share weights, but '0."),
    (lambda: made(Residual()), "blocks must be an nn.Sequential or a list of blocks, got Residual; cut it with "
     f"thalweg.sweep.propose_blocks, or {CUT}"),
    (lambda: made(nn.ModuleDict({"a": nn.Linear(2, 2)})), "a list of blocks, got ModuleDict"),
    (lambda: made(nn.Sequential), "blocks must be an nn.Sequential or a list of blocks, got <class 'torch.nn"),
    (lambda: made(iter([nn.Linear(3, 2)])), "blocks must be an nn.Sequential or a list of blocks, got <list_iterator"),
    (lambda: made([nn.Linear(3, 2), nn.ReLU]), "blocks must be modules or functions, got number 2: <class 'torch.nn"),
    (lambda: made([nn.Linear(3, 2), "relu"]), "blocks must be modules or functions, got number 2: 'relu'"),
    (lambda: made([nn.Linear(3, 2), None]), "blocks must be modules or functions, got number 2: None"),
    (lambda: made([]), "blocks must have a parameter that requires a gradient, got none"),
    (lambda: made([torch.tanh, nn.ReLU()]), "blocks must have a parameter that requires a gradient, got none"),
    (lambda: made(frozen()), "blocks must have a parameter that requires a gradient, got none"),
    (lambda: made(nn.Sequential(nn.ReLU())), "blocks must have a layer with a matrix or a kernel, got Sequential with"),
    (lambda: made(nn.Sequential()), "blocks must have a layer with a matrix or a kernel, got Sequential with none"),
    (lambda: made(distributed(of_depth(2))), "blocks must not be wrapped in DistributedDataParallel, whose hooks a "
     "sweep does not reach: give its .module, and average the gradients of each stage in before_step"),
    (lambda: made([nn.Linear(3, 2), distributed(nn.Linear(2, 2))]), "block 2 must not be wrapped in Distributed"),
    (lambda: made(nn.Sequential(nn.Linear(3, 2), distributed(nn.Linear(2, 2)))), "blocks must not be wrapped in Dist"),
    (lambda: made(nn.Sequential(nn.Linear(3, 2), nn.LazyLinear(2))),
     "blocks has no shape yet for its parameter '1.weight': call the network once before"),
    (lambda: made([nn.Linear(3, 2), nn.LazyLinear(2)]), "block 2 has no shape yet for its parameter 'weight'"),
    (lambda: propose_blocks(nn.Linear), "module must be an nn.Module, got <class 'torch.nn"),
    (lambda: propose_blocks([nn.Linear(3, 2)]), "module must be an nn.Module, got [Linear("),
    (lambda: propose_blocks(distributed(Residual())), "module must not be wrapped in DistributedDataParallel"),
    (lambda: propose_blocks(nn.LazyLinear(2)), "module has no shape yet for its parameter 'weight'"),
    (lambda: propose_blocks(Branching()), "Branching cannot be traced by torch.fx (TraceError: "),
    (lambda: propose_blocks(Branching()), CUT),
    (lambda: propose_blocks(TwoInputs()), f"TwoInputs must take one input, and takes 2; {CUT}"),
    (lambda: propose_blocks(Forwards(lambda own, x: F.dropout(own.linear(x), training=own.training))),
     "Forwards calls dropout, which a trace would fix in training or in evaluation for good: use nn.Dropout, or give"),
    (lambda: propose_blocks(Forwards(lambda own, x: {"logits": own.linear(x)})), "Forwards must return one tensor"),
    (lambda: propose_blocks(Forwards(lambda own, x: (own.linear(x), x))), "Forwards must return one tensor"),
    (lambda: propose_blocks(Forwards(lambda own, x: own.linear.weight)), f"Forwards must return one tensor that it "
     f"works out last; {CUT}"),
    (lambda: propose_blocks(nn.Sequential(nn.BatchNorm1d(3), nn.ReLU())), "module must have a layer with a matrix or a "
     "kernel, got Sequential with none"),
    (lambda: propose_blocks(nn.ReLU()), "module must have a layer with a matrix or a kernel, got ReLU with none"),
    (lambda: block_costs(Residual(), X), "blocks must be an nn.Sequential or a list of blocks, got Residual"),
]  # fmt: skip

ARGUMENTS: list[tuple[Callable[[], object], str]] = [
    (lambda: made(stages=0), "stages must be between 1 and the number of blocks, 3, got 0"),
    (lambda: made(stages=4), "stages must be between 1 and the number of blocks, 3, got 4"),
    (lambda: made(stages=[1, 1]), "stages must add up to the number of blocks, 3, got [1, 1]"),
    (lambda: made(stages=[]), "stages must add up to the number of blocks, 3, got []"),
    (lambda: made(stages=[0, 3]), "stages must be None, a number, or how many blocks each stage has, got [0, 3]"),
    (lambda: made(stages=[1.5, 1.5]), "stages must be None, a number, or how many blocks each stage has, got [1.5, 1."),
    (lambda: made(stages=True), "stages must be None, a number, or how many blocks each stage has, got True"),
    (lambda: made(stages=2.0), "stages must be None, a number, or how many blocks each stage has, got 2.0"),
    (lambda: made(stages="all"), "stages must be None, a number, or how many blocks each stage has, got 'all'"),
    (lambda: made(schedule="random"), "schedule must be 'nested' or 'stochastic', got 'random'"),
    (lambda: made(schedule=None), "schedule must be 'nested' or 'stochastic', got None"),
    (lambda: made(dropout="same"), "dropout must be 'kept' or 'fresh', got 'same'"),
    (lambda: made(batch_norm="never"), "batch_norm must be 'once' or 'every', got 'never'"),
    (lambda: made(batch_norm=["once"]), "batch_norm must be 'once' or 'every', got ['once']"),
    (lambda: made(clip=0.0), "clip must be a norm above 0, or None, got 0.0"),
    (lambda: made(clip=-1), "clip must be a norm above 0, or None, got -1"),
    (lambda: made(clip=math.nan), "clip must be a norm above 0, or None, got nan"),
    (lambda: made(clip=math.inf), "clip must be a norm above 0, or None, got inf"),
    (lambda: made(clip=True), "clip must be a norm above 0, or None, got True"),
    (lambda: made(clip="1"), "clip must be a norm above 0, or None, got '1'"),
    (lambda: made(accumulate=0), "accumulate must be a whole number >= 1, got 0"),
    (lambda: made(accumulate=2.0), "accumulate must be a whole number >= 1, got 2.0"),
    (lambda: made(accumulate=True), "accumulate must be a whole number >= 1, got True"),
    (lambda: stepped(accumulate=6), "accumulate must be at most the batch's 5 examples, got 6"),
    (lambda: made(scaler=65536.0), "scaler must be a torch.amp.GradScaler or None, got 65536.0"),
    (lambda: made(scaler=torch.amp.GradScaler), "scaler must be a torch.amp.GradScaler or None, got <class 'torch"),
    (lambda: made(generator=0), "generator must be a torch.Generator or None, got 0"),
    (lambda: made(before_step="average"), "before_step must be a function, got 'average'"),
    (lambda: made(normalize_lr=True, schedule="stochastic"),
     "normalize_lr is for nested sweeps, got schedule='stochastic'; leave it out"),
    (lambda: made(optimizer=torch.optim.SGD), "optimizer must be a torch.optim.Optimizer, got <class 'torch.optim.sgd"),
    (lambda: made(optimizer="adam"), "optimizer must be a torch.optim.Optimizer, got 'adam'"),
    (lambda: made(network := of_depth(2), optimizer=torch.optim.LBFGS(network.parameters())),
     "optimizer must step without a closure, and LBFGS needs one"),
    (lambda: made(network := of_depth(2), optimizer=sgd(network[:2])),
     "optimizer must have all parameters of the blocks, and lacks '0.weight' of block 2"),
    (lambda: made(network := of_depth(1), optimizer=sgd(nn.ModuleList([network, nn.Linear(7, 9, bias=False)]))),
     "optimizer must have parameters of the blocks alone, and one of shape (9, 7) is in none: give it an optimizer of "
     "its own, or make its module a block"),
    (lambda: made(loss_fn="mse"), "loss_fn must be a function, got 'mse'"),
    (lambda: made(loss_fn=nn.MSELoss), "loss_fn must be a function, got <class 'torch.nn.modules.loss.MSELoss'>"),
    (lambda: made(loss_fn=None), "loss_fn must be a function, got None"),
    (lambda: layerwise_lr(of_depth(2), -0.1), "lr must be a number >= 0, got -0.1"),
    (lambda: layerwise_lr(of_depth(2), math.nan), "lr must be a number >= 0, got nan"),
    (lambda: layerwise_lr(of_depth(2), math.inf), "lr must be a number >= 0, got inf"),
    (lambda: layerwise_lr(of_depth(2), True), "lr must be a number >= 0, got True"),
    (lambda: layerwise_lr(of_depth(2), "0.1"), "lr must be a number >= 0, got '0.1'"),
    (lambda: layerwise_lr(Residual(), 0.1), "blocks must be an nn.Sequential or a list of blocks, got Residual"),
    (lambda: nested_cost([1, 2, 3], [1, 1]), "stages must be numbers of blocks that add up to 3, got [1, 1]"),
    (lambda: stochastic_cost([1, 2, 3], [0, 3]), "stages must be numbers of blocks that add up to 3, got [0, 3]"),
    (lambda: plain_cost([]), "costs must be of one block or more, got none"),
    (lambda: nested_cost([]), "costs must be of one block or more, got none"),
]  # fmt: skip

STEPS: list[tuple[Callable[[], object], str]] = [
    (lambda: stepped(loss_fn=nn.MSELoss(reduction="none")), "loss_fn must return a tensor of one number, got (5, 2)"),
    (lambda: stepped(loss_fn=lambda outputs, y: 0.5), "loss_fn must return a tensor of one number, got float"),
    (lambda: stepped(loss_fn=lambda outputs, y: (outputs.round() != y).double().mean()),
     "loss_fn must return what autograd can differentiate; for a loss made of steps give thalweg.swarm.SwarmGradient"),
    (lambda: stepped([nn.Linear(3, 4).double(), nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 2).double())]),
     "block 2 changes its input in place, which is needed once more: let the operation that does (an activation with "
     "inplace=True?) end the block before, or not work in place"),
    (lambda: stepped([lambda x: x.mul_(1), nn.Linear(3, 2).double()], x=X.clone()), "block 1 changes its input in "),
]  # fmt: skip

REFUSED = [*NOT_BLOCKS, *ARGUMENTS, *STEPS]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message[:60] for _, message in REFUSED])
def test_what_cannot_be_trained_is_named_and_quoted(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_a_refused_step_changes_nothing():
    network = of_depth(3)
    before = copies(network)
    sweep = PositionWise(network, lambda outputs, y: outputs, sgd(network))
    with pytest.raises(ValueError, match="one number"):
        sweep.step(X, Y)
    assert sweep.updates == [0, 0, 0]
    assert all(torch.equal(p, q) for p, q in zip(network.parameters(), before, strict=True))

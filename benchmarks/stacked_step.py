"""How long one step of many small networks takes on a CPU, one thread: stacked, against what torch offers for it.

    python benchmarks/stacked_step.py --out benchmarks/stacked_step.txt

256 networks of 83 weights (a 4-10-3 perceptron), each with a learning rate of its own, AdamW. The peers: the same
update written by hand on the stacked tensors with torch's broadcasting, in place and without a temporary too many; once
on the four tensors that `torch.func.stack_module_state` gives, and once on one tensor of all weights, which no
per-tensor reduction would allow; and a loop over 256 of torch's optimizers, for-loop and fused. All take their turns
round by round, a turn is as many steps as fill 20 ms, at least one; printed are medians over the turns.
"""

from __future__ import annotations

import platform
from collections.abc import Callable

import torch
from timing import Bar, arguments_of, processor, publish, times_in_turns, verdict

from thalweg.optim import StackedOptimizer
from thalweg.rules.gallery import GALLERY

MEMBERS, ROUNDS = 256, 25
SHAPES = {"hidden.weight": (10, 4), "hidden.bias": (10,), "output.weight": (3, 10), "output.bias": (3,)}
RULE = GALLERY["adamw"].rule
BETA1, BETA2, EPS, DECAY = 0.9, 0.999, 1e-8, 0.01

Tensors = dict[str, torch.Tensor]


def tensors(seed: int) -> Tensors:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(MEMBERS, *shape, generator=generator) for name, shape in SHAPES.items()}


def rates() -> torch.Tensor:
    return torch.logspace(-4, -2, MEMBERS)


class Broadcasting:
    """AdamW by hand on stacked tensors."""

    def __init__(self, params: Tensors, grads: Tensors) -> None:
        self.t = 0
        self.rows = [
            (w, grads[name], torch.zeros_like(w), torch.zeros_like(w), rates().reshape(-1, *[1] * (w.dim() - 1)))
            for name, w in params.items()
        ]

    @torch.no_grad()
    def step(self) -> None:
        self.t += 1
        first, second = 1 - BETA1**self.t, 1 - BETA2**self.t
        for w, g, m, v, lr in self.rows:
            w.mul_(1 - lr * DECAY)
            m.lerp_(g, 1 - BETA1)
            v.mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
            divisor = v.sqrt().div_(second**0.5).add_(EPS)
            w.sub_(divisor.reciprocal_().mul_(m).mul_(lr / first))


def flattened(stacked: Tensors) -> Tensors:
    return {"all": torch.cat([w.reshape(MEMBERS, -1) for w in stacked.values()], dim=1)}


def loop(fused: bool) -> Callable[[], None]:
    optimizers = []
    params, grads = tensors(0), tensors(1)
    for i, lr in enumerate(rates().tolist()):
        own = [torch.nn.Parameter(w[i].clone()) for w in params.values()]
        for p, g in zip(own, grads.values(), strict=True):
            p.grad = g[i].clone()
        optimizers.append(torch.optim.AdamW(own, lr=lr, fused=fused, foreach=False))

    def step() -> None:
        for optimizer in optimizers:
            optimizer.step()

    return step


def contenders() -> dict[str, Callable[[], None]]:
    grads = tensors(1)
    ours = StackedOptimizer(tensors(0), RULE, lr=rates())
    vmapped = StackedOptimizer(tensors(0), RULE, lr=rates(), backend="torch")
    return {
        "thalweg stacked": lambda: ours.step(grads),
        "thalweg stacked, through vmap": lambda: vmapped.step(grads),
        "torch broadcasting": Broadcasting(tensors(0), tensors(1)).step,
        "torch broadcasting, one flat tensor": Broadcasting(flattened(tensors(0)), flattened(tensors(1))).step,
        "a loop of torch AdamW": loop(fused=False),
        "a loop of torch AdamW, fused": loop(fused=True),
    }


BARS = (
    Bar("thalweg stacked", "torch broadcasting", (), 1 / 3),
    Bar("thalweg stacked", "torch broadcasting, one flat tensor", (), 1.0),
    Bar("thalweg stacked", "a loop of torch AdamW", (), 1 / 50),
    Bar("thalweg stacked", "a loop of torch AdamW, fused", (), 1 / 50),
)


def report(rounds: int) -> list[str]:
    times = {name: 1e3 * each.step for name, each in times_in_turns(contenders(), rounds).items()}
    lines = [
        f"One AdamW step of {MEMBERS} networks of 83 weights, one thread, median of {rounds} rounds, microseconds.",
        f"{platform.machine()}, {processor()}; torch {torch.__version__}, Python {platform.python_version()}",
        "",
        *(f"{name:40}{value:12.1f}" for name, value in times.items()),
        "",
        "Ratios, and the bars they are held to:",
    ]
    return lines + [verdict(f"{bar.of} / {bar.against}", times[bar.of] / times[bar.against], bar.most) for bar in BARS]


def main() -> None:
    arguments = arguments_of(__doc__, ROUNDS).parse_args()
    torch.set_num_threads(1)
    publish(report(arguments.rounds), arguments.out)


if __name__ == "__main__":
    main()

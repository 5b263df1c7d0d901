"""What a sweep over the blocks of a network costs, beside a plain training step and beside the formula.

    python benchmarks/position_wise.py --out benchmarks/position_wise.txt

The network is a tower of L equal blocks, `nn.Linear(512, 512)` and `nn.Tanh()`, in float32. A plain step is zero_grad,
forward, loss, backward, step. A nested sweep updates block l of L l times; with activations that are kept it does
sum (3 l - 1) f_l multiplications, where a plain step does 3 F - f_1: for equal blocks L (3 L + 1) / (2 (3 L - 1)) times
as many, which is the formula. It leaves out what is no matrix product: activations, the loss, the optimizer. The
quotient says how many times as long as by the formula a sweep takes.

A naive sweep runs the whole network anew at every stage, and back to the first block of the stage. A stochastic step
draws the first block that it trains; timed is the mean over all, each taken once a turn: by the formula 2 L / (3 L - 1)
of a plain step. All take their turns round by round, on one thread; printed are medians over the turns.

Memory is by how much that of a process rises in one step, gradients included; it is measured on Linux alone.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping

import torch
from fresh_process import in_fresh_process
from timing import arguments_of, processor, publish, times_in_turns, verdict
from tower import BATCH, BLOCKS, LR, WIDTH, Tower

import thalweg.optim
from thalweg.sweep import nested_cost, plain_cost, stochastic_cost

ROUNDS, FEWER = 5, 3  # with 16 blocks, and at the small batch
SMALL = 128  # a batch at which what is no matrix product counts for more
OPTIMIZERS = {
    "torch SGD": lambda params: torch.optim.SGD(params, lr=LR),
    "thalweg SGD": lambda params: thalweg.optim.SGD(params, lr=LR),
    "thalweg Adam": lambda params: thalweg.optim.Adam(params, lr=LR),
}
FIRST = "torch SGD"  # with which naive sweeps and stochastic steps are timed
QUOTIENT, STOCHASTIC, MEMORY = 1.15, 0.8, 1.05  # at most

Milliseconds = Mapping[tuple[str, str], float]  # by optimizer and way to train


def timed(blocks: int, batch: int, rounds: int) -> Milliseconds:
    """Short steps have more rounds, so that all have about as long."""
    steps = {}
    for name, optimizer in OPTIMIZERS.items():
        steps[name, "plain"] = Tower(blocks, batch, optimizer).plain()
        steps[name, "sweep"] = Tower(blocks, batch, optimizer).nested()
    steps[FIRST, "naive"] = Tower(blocks, batch, OPTIMIZERS[FIRST]).naive()
    steps[FIRST, "stochastic"] = Tower(blocks, batch, OPTIMIZERS[FIRST]).from_every_start()
    times = times_in_turns(steps, rounds * BLOCKS[-1] // blocks, first_steps=1)
    return {key: each.step / (blocks if key[1] == "stochastic" else 1) for key, each in times.items()}


def row(name: str, blocks: object, *cells: object) -> str:
    """Names and texts as they are, ratios with three digits behind the point."""
    return f"{name:26}{blocks:>4}" + "".join(f"{c:>13.3f}" if isinstance(c, float) else f"{c:>13}" for c in cells)


def formula(blocks: int) -> float:
    return nested_cost([1] * blocks) / plain_cost([1] * blocks)


def of_sweeps(times: Mapping[int, Milliseconds], batch: int) -> list[str]:
    table = [row(f"Nested sweeps, batch {batch}", "L", "plain, ms", "sweep, ms", "ratio", "formula", "quotient")]
    for name in OPTIMIZERS:
        for blocks, ms in times.items():
            plain, sweep = ms[name, "plain"], ms[name, "sweep"]
            ratio = sweep / plain
            cells = (f"{plain:.2f}", f"{sweep:.2f}", ratio, formula(blocks), ratio / formula(blocks))
            table.append(row(name, blocks, *cells))
    return table


def of_other_ways(times: Mapping[int, Milliseconds], batch: int) -> list[str]:
    columns = ("naive, ms", "to sweep", "random, ms", "to plain", "formula")
    table = [row(f"Naive, stochastic, {batch}", "L", *columns)]
    for blocks, ms in times.items():
        naive, drawn, expected = ms[FIRST, "naive"], ms[FIRST, "stochastic"], stochastic_cost([1] * blocks)
        ratios = (naive / ms[FIRST, "sweep"], drawn / ms[FIRST, "plain"], expected / plain_cost([1] * blocks))
        table.append(row(FIRST, blocks, f"{naive:.2f}", ratios[0], f"{drawn:.2f}", *ratios[1:]))
    return table


def bars(times: Mapping[int, Milliseconds]) -> list[str]:
    lines = []
    for name in OPTIMIZERS:
        for blocks, ms in times.items():
            quotient = ms[name, "sweep"] / ms[name, "plain"] / formula(blocks)
            lines.append(verdict(f"{name}, L = {blocks}: sweep / plain / formula", quotient, QUOTIENT))
    blocks, ms = list(times.items())[-1]
    share = ms[FIRST, "stochastic"] / ms[FIRST, "plain"]
    return [*lines, verdict(f"{FIRST}, L = {blocks}: stochastic / plain", share, STOCHASTIC)]


def memory() -> tuple[list[str], list[str]]:
    found, ways = in_fresh_process("sweep_memory"), ("plain", "sweep", "in 4 parts")
    table, lines = [row(f"Memory, MB, batch {BATCH}", "L", *ways)], []
    for blocks in BLOCKS:
        rises = [found[f"{way} {blocks}"] for way in ways]
        table.append(row(FIRST, blocks, *(f"{rise:.1f}" for rise in rises)))
        lines.append(verdict(f"memory, L = {blocks}: sweep / plain", rises[1] / rises[0], MEMORY))
    return table, lines


def report(rounds: int) -> list[str]:
    load, fewer = os.getloadavg()[0], min(rounds, FEWER)
    main, small = ({blocks: timed(blocks, *given) for blocks in BLOCKS} for given in ((BATCH, rounds), (SMALL, fewer)))
    rises, memory_bars = memory() if sys.platform == "linux" else ([], [])
    return [
        f"Sweeps over L blocks of {WIDTH}, float32, one thread; medians of {rounds} rounds with L = {BLOCKS[-1]}, more",
        f"with fewer blocks, and of {fewer} and more at batch {SMALL}.",
        f"{platform.machine()}, {processor()}; torch {torch.__version__}, Python {platform.python_version()}; "
        f"load {load:.1f} on {os.cpu_count()} CPUs at the start",
        "",
        *of_sweeps(main, BATCH),
        "",
        *of_other_ways(main, BATCH),
        "",
        *of_sweeps(small, SMALL),
        "",
        *of_other_ways(small, SMALL),
        "",
        *rises,
        "",
        f"Ratios at batch {BATCH}, and the bars they are held to:",
        *bars(main),
        *memory_bars,
    ]


def main() -> None:
    arguments = arguments_of(__doc__, ROUNDS).parse_args()
    torch.set_num_threads(1)
    publish(report(arguments.rounds), arguments.out)


if __name__ == "__main__":
    main()

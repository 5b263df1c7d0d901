"""What a swarm gradient costs: a call against PyPI's `adaswarm`, a training step against a plain one, and how the cost
grows.

    python benchmarks/swarm_gradient.py --out benchmarks/swarm_gradient.txt
    python benchmarks/swarm_gradient.py --device cuda

A call is the loss of 125 outputs of 10 numbers and its backward pass, binary cross-entropy with one-hot targets. All
contenders search with 10 particles for 40 iterations, which `adaswarm` has built in, so that each evaluates a loss 400
times. What `adaswarm.nn.BCELoss` minimises is another loss: its value is binary cross-entropy, but its swarm compares
particles by `nn.CrossEntropyLoss` of their positions as logits, over the whole batch, and lets positions leave (0, 1).
It also inverts a matrix of the size of the batch for each particle in each iteration.

"as adaswarm" searches as it does: one problem, the batch, with one random factor a particle, by PSO with inertia 0.9,
from around the labels; but for binary cross-entropy and within (0, 1). The others search each of the 1250 numbers by
itself, which is what we do by default, with a factor for each number, particle and iteration: the default from around
the outputs, "from the bounds" from anywhere in (0, 1), and "cached" once for each target.

A training step is that of a 784-128-10 perceptron with a sigmoid: zero_grad, forward, loss, backward, step. `AdaSwarm`
has its defaults there, so 20 iterations. All take their turns round by round, on one thread; printed are medians over
the turns.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from timing import arguments_of, nothing, processor, publish, times_in_turns, verdict
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.functional import one_hot

from thalweg.optim import Adam
from thalweg.swarm import AdaSwarm, SwarmGradient
from thalweg.swarm.draws import random_bits
from thalweg.swarm.gradient import MOST
from thalweg.swarm.native import Loop
from thalweg.swarm.objective import Objective
from thalweg.tasks.models import mlp

ROUNDS = 25
BATCH, CLASSES, PARTICLES, ITERATIONS, DEFAULT_ITERATIONS = 125, 10, 10, 40, 20
PEER, PLAIN = "adaswarm 0.3.0", "thalweg Adam, BCE"
FASTER = {"as adaswarm": 60, "default": 20, "from the bounds": 20, "cached": 200}  # how many times as fast at least
SLOWER = {"AdaSwarm": 4.0, "AdaSwarm, cached": 1.5}  # how many times as long at most
PATHS = {"element": (16, 125, 1000), "joint": (125,)}  # levels, and the batches at which the two paths are compared
GROWTH = {
    "particles": (5, 10, 20, 40, 80, 160),
    "iterations": (5, 10, 20, 40, 80, 160),
    "batch": (8, 16, 32, 64, 128, 256),
}

Step = Callable[[], object]
Loss = Callable[[Tensor, Tensor], Tensor]


def swarm(**options: Any) -> SwarmGradient:
    return SwarmGradient(nn.BCELoss(reduction="none"), **options)


def as_adaswarm(**options: Any) -> SwarmGradient:
    return swarm(
        level="joint", variant="pso", inertia=0.9, c1=0.9, c2=0.8, per_dimension=False, init="target", coeff="paper",
        bounds=(0.0, 1.0), reference=True, **options,
    )  # fmt: skip


def cached(device: str) -> dict[str, Any]:
    """The options; only on a CPU can targets be met without having been named."""
    return {"init": "bounds", "cache": True if device == "cpu" else (0.0, 1.0)}


def batch_of(rows: int, device: str) -> tuple[Tensor, Tensor]:
    """Outputs that ask for a gradient, and one-hot targets."""
    generator = torch.Generator().manual_seed(0)
    outputs = torch.rand(rows, CLASSES, generator=generator).to(device).requires_grad_()
    return outputs, one_hot(torch.randint(CLASSES, (rows,), generator=generator), CLASSES).float().to(device)


def call_of(loss: Loss, outputs: Tensor, targets: Tensor) -> Step:
    def call() -> None:
        outputs.grad = None
        loss(outputs, targets).backward()

    return call


class Benchmark:
    """The parts of the report, on one device."""

    def __init__(self, rounds: int, device: str) -> None:
        self.rounds, self.device = rounds, device
        self.wait = nothing if device == "cpu" else torch.cuda.synchronize

    def calls(self) -> tuple[list[str], list[str]]:
        outputs, targets = batch_of(BATCH, self.device)
        sizes = {"particles": PARTICLES, "iterations": ITERATIONS}
        losses: dict[str, Loss] = {
            PEER: peer(),
            "as adaswarm": as_adaswarm(**sizes),
            "default": swarm(**sizes),
            "from the bounds": swarm(init="bounds", **sizes),
            "cached": swarm(**cached(self.device), **sizes),
            "torch's BCELoss, no swarm": nn.BCELoss(),
        }
        steps = {name: call_of(loss, outputs, targets) for name, loss in losses.items()}
        skipped = []
        try:
            steps[PEER]()
        except RuntimeError as error:
            skipped = [f"{PEER} was skipped, as it cannot run on {self.device}: {str(error).splitlines()[0]}"]
            del steps[PEER]
        times = self._times(steps)
        table = [f"{'One call':40}{'ms':>12}{'times as fast':>16}"]
        for name, milliseconds in times.items():
            share = f"{times[PEER] / milliseconds:16.1f}" if PEER in times else ""
            table.append(f"{name:40}{milliseconds:12.3f}{share}")
        if PEER not in times:
            return [*table, *skipped], []
        return table, [at_least(f"{PEER} / {name}", times[PEER] / times[name], least) for name, least in FASTER.items()]

    def training(self) -> tuple[list[str], list[str]]:
        bce, unreduced = nn.BCELoss(), nn.BCELoss(reduction="none")
        steps = {
            PLAIN: self._training_step(lambda network: (Adam(network.parameters()), bce)),
            "torch Adam, BCE": self._training_step(lambda network: (torch.optim.Adam(network.parameters()), bce)),
        }
        for name, options in (("AdaSwarm", {}), ("AdaSwarm, cached", cached(self.device))):
            steps[name] = self._training_step(partial(with_adaswarm, unreduced, options))
        times = self._times(steps)
        table = [f"{'One training step':40}{'ms':>12}{'times as long':>16}"]
        table += [f"{name:40}{ms:12.3f}{ms / times[PLAIN]:16.2f}" for name, ms in times.items()]
        return table, [verdict(f"{name} / {PLAIN}", times[name] / times[PLAIN], most) for name, most in SLOWER.items()]

    def paths(self) -> list[str]:
        """The native loop against torch's operations in the same search."""
        table = [f"{'Native loop and torch operations':40}{'native, ms':>12}{'torch, ms':>16}{'ratio':>10}"]
        for level, batches in PATHS.items():
            for rows in batches:
                native = call_of(swarm(level=level, iterations=ITERATIONS), *batch_of(rows, self.device))
                times = self._times({"native": native, "torch": by_torch(native)})
                ratio = times["torch"] / times["native"]
                table.append(f"{f'{level}, batch {rows}':40}{times['native']:12.3f}{times['torch']:16.3f}{ratio:10.1f}")
        return table

    def pieces(self) -> list[str]:
        """What of a call is not done by torch's own operation, against that."""
        count = 2 * ITERATIONS * PARTICLES * BATCH * CLASSES
        outputs, targets = batch_of(BATCH, self.device)
        candidates = outputs.detach().repeat(PARTICLES, 1)
        candidates = (2 * candidates - 0.5).clamp(0, 1)  # some on the bounds, as a search has them
        evaluator = Objective(partial(F.binary_cross_entropy, reduction="none"), "element").evaluator(
            outputs.shape, targets
        )
        generator = torch.Generator().manual_seed(0)
        times = self._times({
            "torch.rand": lambda: torch.rand(count, generator=generator),
            "random_bits": lambda: random_bits((count,), generator),
            "F.binary_cross_entropy": partial(
                F.binary_cross_entropy, candidates, targets.repeat(PARTICLES, 1), reduction="none"
            ),
            "as searched": partial(evaluator, candidates.reshape(PARTICLES, -1, 1)),
        })  # fmt: skip
        return [
            f"Pieces, ms: {count:,} random factors, and the loss of {candidates.numel():,} candidates:",
            *(f"  {name:28}{time:10.3f}" for name, time in times.items()),
        ]

    def growth(self) -> list[str]:
        """Milliseconds of a call as one size grows, and the exponents: a call has a part that does not grow."""
        table = [
            "One call as one of its sizes grows, ms, and the exponents over all sizes and over the last doubling:",
            f"(batch {BATCH}, {PARTICLES} particles, {DEFAULT_ITERATIONS} iterations where they do not grow;",
            f"a search of more than {MOST:,} random factors is cut into several)",
        ]
        for what, sizes in GROWTH.items():
            steps = {}
            for size in sizes:
                options = {} if what == "batch" else {what: size}
                steps[str(size)] = call_of(swarm(**options), *batch_of(size if what == "batch" else BATCH, self.device))
            times = list(self._times(steps).values())
            over_all, last = exponent(sizes, times), exponent(sizes[-2:], times[-2:])
            table.append(f"  {what:14}" + "".join(f"{size:10}" for size in sizes) + f"{'all':>10}{'last':>10}")
            table.append(f"  {'':14}" + "".join(f"{time:10.2f}" for time in times) + f"{over_all:10.2f}{last:10.2f}")
        sizes = GROWTH["particles"]
        n_log_n = [n * np.log(n) for n in sizes]
        claimed = (
            f"{exponent(sizes, n_log_n):.2f} over these n, {exponent(sizes[-2:], n_log_n[-2:]):.2f} over the last two"
        )
        return [*table, f"The paper claims O(t n log n) for n particles and t iterations; n log n is {claimed}."]

    def _times(self, steps: Mapping[str, Step]) -> dict[str, float]:
        return {name: each.step for name, each in times_in_turns(steps, self.rounds, self.wait).items()}

    def _training_step(self, made: Callable[[nn.Module], tuple[torch.optim.Optimizer, Loss]]) -> Step:
        generator = torch.Generator().manual_seed(0)
        network = nn.Sequential(mlp((784, 128, CLASSES), generator), nn.Sigmoid()).to(self.device)
        inputs = torch.rand(BATCH, 784, generator=generator).to(self.device)
        _, targets = batch_of(BATCH, self.device)
        optimizer, loss = made(network)

        def step() -> None:
            optimizer.zero_grad()
            loss(network(inputs), targets).backward()
            optimizer.step()

        return step


def peer() -> Loss:
    import adaswarm.nn

    return adaswarm.nn.BCELoss()


def with_adaswarm(loss: Loss, options: Mapping[str, Any], network: nn.Module) -> tuple[AdaSwarm, Loss]:
    optimizer = AdaSwarm(network.parameters(), loss, **options)
    return optimizer, optimizer.loss


def by_torch(call: Step) -> Step:
    """The same without the native loop."""

    def step() -> None:
        with patch.object(Loop, "fits", lambda swarm: False):
            call()

    return step


def exponent(sizes: Sequence[int], times: Sequence[float]) -> float:
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])


def at_least(what: str, value: float, least: float) -> str:
    return f"  {what:66} {value:7.1f}  (at least {least}: {'holds' if value >= least else 'MISSED'})"


def machine(device: str) -> str:
    named = processor() if device == "cpu" else torch.cuda.get_device_name()
    return f"{platform.machine()}, {named}; torch {torch.__version__}, adaswarm {version('adaswarm')}"


def report(rounds: int, device: str) -> list[str]:
    load = os.getloadavg()[0]  # before this run adds its own
    benchmark = Benchmark(rounds, device)
    (calls, call_bars), (training, training_bars) = benchmark.calls(), benchmark.training()
    return [
        f"Swarm gradients of {BATCH} x {CLASSES} outputs, {PARTICLES} particles, {ITERATIONS} iterations a call, "
        f"{DEFAULT_ITERATIONS} in training;",
        f"one thread, median of {rounds} rounds, milliseconds.",
        f"{machine(device)}, numba {version('numba')}, Python {platform.python_version()};",
        f"load {load:.1f} on {os.cpu_count()} CPUs at the start",
        "",
        *calls,
        "",
        *training,
        "",
        *([*benchmark.paths(), "", *benchmark.pieces(), ""] if device == "cpu" else []),
        *benchmark.growth(),
        "",
        "Ratios, and the bars they are held to:",
        *call_bars,
        *training_bars,
    ]


def main() -> None:
    parser = arguments_of(__doc__, ROUNDS)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error(f"--device cuda needs a GPU, and torch {torch.__version__} sees none")
    torch.set_num_threads(1)
    publish(report(arguments.rounds, arguments.device), arguments.out)


if __name__ == "__main__":
    main()

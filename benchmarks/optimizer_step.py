"""How long one optimizer step takes on a CPU, against torch.optim and pytorch_optimizer, in one run.

    python benchmarks/optimizer_step.py --out benchmarks/optimizer_step.txt

All contenders take their turns round by round, so that a machine that slows down slows all of them; each has parameters
of its own, and a turn is as many steps as fill 20 ms, at least one. Printed are the medians over the turns of a step's
time, one thread, and the bars that the project sets itself.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from thalweg.optim import ADES, AdamW, Gravity

ROUNDS = 25
SMALL = [(256,)] * 500
MLP = [(2048, 1024), (2048,), (2048, 2048), (2048,), (2048, 2048), (2048,), (768, 2048), (768,)]


def resnet18() -> list[tuple[int, ...]]:
    """The shapes of ResNet-18's 62 parameters, 11.7 million weights (He et al. 2016, ImageNet head)."""
    shapes: list[tuple[int, ...]] = [(64, 3, 7, 7), (64,), (64,)]
    width = 64
    for stage in (64, 128, 256, 512):
        for block in range(2):
            shapes += [(stage, width, 3, 3), (stage,), (stage,), (stage, stage, 3, 3), (stage,), (stage,)]
            if block == 0 and stage != 64:
                shapes += [(stage, width, 1, 1), (stage,), (stage,)]
            width = stage
    return [*shapes, (1000, 512), (1000,)]


LISTS = {"ResNet-18": resnet18(), "MLP of 12 M": MLP, "500 of 256": SMALL}


def parameters(shapes: list[tuple[int, ...]]) -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    made = []
    for shape in shapes:
        p = torch.nn.Parameter(torch.randn(shape, generator=generator) * 0.01)
        p.grad = torch.randn(shape, generator=generator) * 0.01
        made.append(p)
    return made


def contenders() -> dict[str, Callable[[list[torch.nn.Parameter]], torch.optim.Optimizer]]:
    from pytorch_optimizer import Gravity as PeerGravity

    return {
        "thalweg AdamW": lambda p: AdamW(p),
        "thalweg AdamW, plain": lambda p: AdamW(p, backend="plain"),
        "torch AdamW, for-loop": lambda p: torch.optim.AdamW(p, foreach=False),
        "torch AdamW, foreach": lambda p: torch.optim.AdamW(p, foreach=True),
        "torch AdamW, fused": lambda p: torch.optim.AdamW(p, fused=True),
        "torch SGD momentum, for-loop": lambda p: torch.optim.SGD(p, 0.01, momentum=0.9, foreach=False),
        "torch SGD momentum, foreach": lambda p: torch.optim.SGD(p, 0.01, momentum=0.9, foreach=True),
        "torch SGD momentum, fused": lambda p: torch.optim.SGD(p, 0.01, momentum=0.9, fused=True),
        "thalweg ADES": lambda p: ADES(p),
        "thalweg ADES, plain": lambda p: ADES(p, backend="plain"),
        "thalweg Gravity": lambda p: Gravity(p),
        "thalweg Gravity, plain": lambda p: Gravity(p, backend="plain"),
        "pytorch_optimizer Gravity": lambda p: PeerGravity(p, lr=0.1),
    }


def step_times(shapes: list[tuple[int, ...]], rounds: int) -> dict[str, float]:
    """Median milliseconds of a step of each contender."""
    optimizers = {name: make(parameters(shapes)) for name, make in contenders().items()}
    times: dict[str, list[float]] = {name: [] for name in optimizers}
    turns = {}
    for name, optimizer in optimizers.items():
        _milliseconds(optimizer, 2)  # the first steps compile and fill caches
        turns[name] = max(1, round(20 / _milliseconds(optimizer, 1)))
    for _ in range(rounds):
        for name, optimizer in optimizers.items():
            times[name].append(_milliseconds(optimizer, turns[name]))
    return {name: statistics.median(values) for name, values in times.items()}


def _milliseconds(optimizer: torch.optim.Optimizer, steps: int) -> float:
    start = time.perf_counter()
    for _ in range(steps):
        optimizer.step()
    return 1e3 * (time.perf_counter() - start) / steps


@dataclass(frozen=True)
class Bar:
    """A ratio of two medians, and the most that it may be."""

    of: str
    against: str
    lists: tuple[str, ...]
    most: float


BIG = ("ResNet-18", "MLP of 12 M")
BARS = (
    Bar("thalweg AdamW", "torch AdamW, fused", BIG, 1.1),
    Bar("thalweg AdamW", "torch AdamW, for-loop", BIG, 1 / 5),
    Bar("thalweg AdamW", "torch AdamW, for-loop", ("500 of 256",), 1 / 10),
    Bar("thalweg AdamW", "torch AdamW, fused", ("500 of 256",), 1.0),
    Bar("thalweg ADES", "torch SGD momentum, fused", BIG, 1.1),
    Bar("thalweg Gravity", "torch SGD momentum, fused", BIG, 1.7),
    Bar("thalweg Gravity", "pytorch_optimizer Gravity", ("MLP of 12 M",), 1 / 15),
)


def first_steps() -> dict[str, float]:
    """In a fresh process: seconds of the first step of a rule, then of the next rule (compiling included)."""
    p = [torch.nn.Parameter(torch.zeros(1000))]
    p[0].grad = torch.ones(1000)
    seconds = {}
    for name, optimizer in (("first", AdamW(p)), ("next", Gravity(p))):
        start = time.perf_counter()
        optimizer.step()
        seconds[name] = time.perf_counter() - start
    return seconds


def extra_memory() -> dict[str, float]:
    """In a fresh process: how much the peak of memory rises in a step of the MLP, as a share of its parameters."""
    shares = {}
    warm = [torch.nn.Parameter(torch.zeros(1000))]
    warm[0].grad = torch.ones(1000)
    for make in (AdamW, Gravity):
        make(warm).step()  # compiled beforehand: only the step itself is measured
    for make in (AdamW, Gravity):
        big = parameters(MLP)
        optimizer = make(big)
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # from here the peak is counted anew
        before = _resident("VmRSS")
        optimizer.step()
        shares[make.__name__] = (_resident("VmHWM") - before) / sum(p.numel() * p.element_size() for p in big)
    return shares


def _resident(which: str) -> int:
    """Resident bytes of this process, now (VmRSS) or at their peak (VmHWM), as Linux counts them."""
    with open("/proc/self/status") as file:
        return int(file.read().split(f"{which}:")[1].split()[0]) * 1024


def in_fresh_process(function: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", function]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def report(rounds: int) -> list[str]:
    lines = [
        f"One optimizer step on a CPU, one thread, median of {rounds} rounds, milliseconds.",
        f"{platform.machine()}, {processor()}; torch {torch.__version__}, Python {platform.python_version()}",
        "",
        f"{'':30}" + "".join(f"{name:>14}" for name in LISTS),
    ]
    times = {name: step_times(shapes, rounds) for name, shapes in LISTS.items()}
    lines += [f"{name:30}" + "".join(f"{times[each][name]:14.2f}" for each in LISTS) for name in contenders()]
    lines += ["", "Ratios, and the bars they are held to:"]
    for bar in BARS:
        for each in bar.lists:
            ratio = times[each][bar.of] / times[each][bar.against]
            lines.append(verdict(f"{bar.of} / {bar.against}, {each}", ratio, bar.most))
    starts, memory = [in_fresh_process("first_steps") for _ in range(5)], in_fresh_process("extra_memory")
    first = {name: statistics.median(start[name] for start in starts) for name in starts[0]}
    lines += ["", "Seconds of a first step, compiling included, median of 5 fresh processes:"]
    lines.append(verdict("the first rule of a process", first["first"], 3.0))
    lines.append(verdict("the next rule", first["next"], 1.0))
    lines += ["", "Extra peak memory of a step of the MLP, as a share of its parameters:"]
    lines += [verdict(name, share, 0.02) for name, share in memory.items()]
    return lines


def verdict(what: str, value: float, most: float) -> str:
    return f"  {what:66} {value:7.3f}  (at most {most:.3f}: {'holds' if value <= most else 'MISSED'})"


def processor() -> str:
    try:
        return next(line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown processor"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="steps of each contender that are counted")
    parser.add_argument("--out", help="also write what is printed to this file")
    parser.add_argument("--measure", choices=["first_steps", "extra_memory"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.measure:
        print(json.dumps(globals()[arguments.measure]()))
        return
    text = "\n".join(report(arguments.rounds)) + "\n"
    print(text, end="")
    if arguments.out:
        with open(arguments.out, "w") as file:
            file.write(text)


if __name__ == "__main__":
    main()

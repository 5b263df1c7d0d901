"""What can only be measured in a fresh process: the seconds of first steps, and how much a step's memory rises.

python benchmarks/fresh_process.py first_steps
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from functools import partial

import torch
from lists import MLP, parameters, weights
from timing import Step

from thalweg.optim import ADES, AdamW, Gravity


def in_fresh_process(function: str) -> dict[str, float]:
    # glibc keeps what is freed below this size, and a later rise would not be seen.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    command = [sys.executable, __file__, function]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


def first_steps() -> dict[str, float]:
    """Seconds of the first step of a rule, then of the next rule (compiling included)."""
    p = [torch.nn.Parameter(torch.zeros(1000))]
    p[0].grad = torch.ones(1000)
    seconds = {}
    for name, optimizer in (("first", AdamW(p)), ("next", Gravity(p))):
        start = time.perf_counter()
        optimizer.step()
        seconds[name] = time.perf_counter() - start
    return seconds


def extra_memory() -> dict[str, float]:
    """How much the peak of memory rises in a step of the MLP, as a share of its parameters."""
    shares = {}
    warm = [torch.nn.Parameter(torch.zeros(1000))]
    warm[0].grad = torch.ones(1000)
    contenders = [(make, backend) for backend in (None, "foreach") for make in (AdamW, ADES, Gravity)]
    for make, backend in contenders:
        make(warm, backend=backend).step()  # compiled beforehand: only the step itself is measured
    for make, backend in contenders:
        optimizer = make(parameters(MLP), backend=backend)
        shares[f"{make.__name__}, {backend}" if backend else make.__name__] = _rise(optimizer.step) / (4 * weights(MLP))
    return shares


def sweep_memory() -> dict[str, float]:
    """Megabytes by which the peak of memory rises in a plain step of a tower and in sweeps, gradients included."""
    # Here, because what they load would be missing in the seconds of first steps.
    from torch.nn.functional import mse_loss
    from tower import BATCH, BLOCKS, LR, Tower

    from thalweg.sweep import PositionWise

    rises = {}
    for blocks in BLOCKS:
        tower = Tower(blocks, BATCH, lambda params: torch.optim.SGD(params, lr=LR))
        in_parts = PositionWise(tower.network, mse_loss, tower.optimizer, accumulate=4)
        steps: dict[str, Step] = {
            "plain": tower.plain(),
            "sweep": tower.nested(),
            "in 4 parts": partial(in_parts.step, tower.x, tower.y),
        }
        for name, step in steps.items():
            step()
            tower.optimizer.zero_grad()
            rises[f"{name} {blocks}"] = _rise(step) / 1e6
    return rises


def search_memory() -> dict[str, float]:
    """Bytes by which the peak of memory rises while a CMA-ES of 1000 points in 1000 dimensions is made and does three
    generations."""
    import search_peers as peers

    def search(contender: peers.Contender, size: int) -> None:
        step = contender(peers.Problem(peers.sphere, size, size, "cpu"))
        for _ in range(3):
            step()

    contenders = {
        "thalweg, float64": peers.from_a_point("cma", dtype=torch.float64),
        "thalweg, float32": peers.from_a_point("cma"),
        "pycma": peers.pycma,
    }
    for contender in contenders.values():
        search(contender, 20)  # loads what they need: only the search itself is measured
    return {name: _rise(partial(search, contender, 1000)) for name, contender in contenders.items()}


def _rise(step: Step) -> int:
    """Bytes by which the peak of this process's memory rises in a step."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # from here the peak is counted anew
    before = _resident("VmRSS")
    step()
    return _resident("VmHWM") - before


def _resident(which: str) -> int:
    """Resident bytes of this process, now (VmRSS) or at their peak (VmHWM), as Linux counts them."""
    with open("/proc/self/status") as file:
        return int(file.read().split(f"{which}:")[1].split()[0]) * 1024


if __name__ == "__main__":
    torch.set_num_threads(1)
    functions = {each.__name__: each for each in (first_steps, extra_memory, sweep_memory, search_memory)}
    print(json.dumps(functions[sys.argv[1]]()))

"""What can only be measured in a fresh process: the seconds of first steps, and how much a step's memory rises.

python benchmarks/fresh_process.py first_steps
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import torch
from lists import MLP, parameters, weights

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
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # from here the peak is counted anew
        before = _resident("VmRSS")
        optimizer.step()
        rise = _resident("VmHWM") - before
        shares[f"{make.__name__}, {backend}" if backend else make.__name__] = rise / (4 * weights(MLP))
    return shares


def _resident(which: str) -> int:
    """Resident bytes of this process, now (VmRSS) or at their peak (VmHWM), as Linux counts them."""
    with open("/proc/self/status") as file:
        return int(file.read().split(f"{which}:")[1].split()[0]) * 1024


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps({"first_steps": first_steps, "extra_memory": extra_memory}[sys.argv[1]]()))

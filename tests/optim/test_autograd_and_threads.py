"""A native step beside what else a process does: autograd, forks, threads, and a machine without numba."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from functools import cache

import pytest
import torch
from optim.trajectories import NATIVE, OWN, RULES, assert_same, every_rule, gradients, needs_native, parameters, run

from thalweg import Rule
from thalweg.optim import RuleOptimizer
from thalweg.optim.native import SLICE, WORTH_THREADS

LARGE = 3 * SLICE + 5
BACKENDS = [NATIVE, "blocks", "plain"]


# Autograd


@pytest.mark.parametrize("backend", BACKENDS)
def test_stepping_between_forward_and_backward_raises_torchs_error(backend):
    p = torch.nn.Parameter(torch.ones(3))
    optimizer = RuleOptimizer([p], RULES["adam"], backend=backend)
    loss = (p**2).sum()  # its backward needs the weights as they are now
    p.grad = torch.ones(3)
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@needs_native
@every_rule
def test_every_native_step_raises_it_from_the_second_step_on_too(rule):
    """When a step follows the addresses of the one before."""
    params = parameters()
    optimizer = RuleOptimizer(params, rule)
    run(optimizer, params, gradients(params, 2))
    loss = sum((p**2).sum() for p in params)
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@needs_native
def test_a_graph_through_a_state_is_guarded_too():
    p, x = torch.nn.Parameter(torch.ones(3)), torch.ones(3, requires_grad=True)
    optimizer = RuleOptimizer([p], RULES["adam"])
    loss = (x * optimizer.state[p]["m"]).sum()
    p.grad = torch.ones(3)
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_step_makes_no_graph(backend):
    p = torch.nn.Parameter(torch.ones(3))
    optimizer = RuleOptimizer([p], RULES["adam"], backend=backend)
    p.grad = torch.ones(3, requires_grad=True) * 2
    with torch.enable_grad():
        optimizer.step()
    assert p.is_leaf
    assert p.grad_fn is None
    assert not any(state.requires_grad for state in (optimizer.state[p]["m"], optimizer.state[p]["v"]))


# Threads


def large(seed: int = 0) -> torch.nn.Parameter:
    random = torch.Generator().manual_seed(seed)
    return torch.nn.Parameter(torch.randn(LARGE, generator=random, dtype=torch.float64))


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("name", ["adam", "gravity", "own"])
def test_the_number_of_threads_changes_no_bit(name):
    assert LARGE > WORTH_THREADS
    results = []
    for threads in (2, 1, 3):
        torch.set_num_threads(threads)
        params = [large(), torch.nn.Parameter(torch.ones(7, dtype=torch.float64)), large(1)]
        optimizer = RuleOptimizer(params, RULES[name])
        run(optimizer, params, gradients(params, 2))
        tensors = [state for p in params for state in optimizer.state[p].values() if isinstance(state, torch.Tensor)]
        results.append([*(p.detach() for p in params), *tensors])
    assert_same(results[1], results[0])
    assert_same(results[2], results[0])


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(
    "rule",
    [
        pytest.param(RULES["adam"], id="adam"),
        pytest.param(OWN, id="own"),
        # One that no other test has compiled: both threads come to it at once.
        pytest.param(Rule("compiled_by_both", "v = 0.875*v + g\nw = w - lr*v/(1 + max_abs(v))", lr=0.1), id="new"),
    ],
)
def test_two_threads_stepping_two_optimizers_at_once_give_the_bits_of_one_after_the_other(rule):
    def optimizers() -> list[tuple[RuleOptimizer, list[torch.nn.Parameter]]]:
        both = ([large(seed), torch.nn.Parameter(torch.ones(5, dtype=torch.float64))] for seed in (1, 2))
        return [(RuleOptimizer(params, rule), params) for params in both]

    together, one_by_one = optimizers(), optimizers()
    grads = [gradients(params, 1, seed=seed)[0] for seed, (_, params) in enumerate(together)]
    barrier, failures = threading.Barrier(2), []

    def work(optimizer: RuleOptimizer, params: list[torch.nn.Parameter], row: list[torch.Tensor]) -> None:
        try:
            barrier.wait()
            run(optimizer, params, [row] * 6)
        except Exception as error:
            failures.append(error)

    workers = [threading.Thread(target=work, args=(*pair, row)) for pair, row in zip(together, grads, strict=True)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []
    for (optimizer, params), row in zip(one_by_one, grads, strict=True):
        run(optimizer, params, [row] * 6)
    for (_, found), (_, expected) in zip(together, one_by_one, strict=True):
        assert_same(found, expected)


# Processes


def script(source: str, *arguments: str) -> str:
    """What a Python process of its own prints; it fails where it hangs, is killed, or raises."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", source, *arguments],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


FORKING = """
import hashlib, multiprocessing, os, sys, torch
from thalweg.optim import RuleOptimizer
from thalweg.rules.gallery import GALLERY

torch.set_num_threads(2)
p = torch.nn.Parameter(torch.linspace(-1, 1, 3 * (1 << 18) + 5))
p.grad = torch.cos(p.detach())
optimizer = RuleOptimizer([p], GALLERY["ades"].rule)
print("numba" in sys.modules)
optimizer.step()
print("numba" in sys.modules)

def stepped_again():
    optimizer.step()
    optimizer.step()
    return hashlib.sha256(p.detach().numpy().tobytes()).hexdigest()

def say(pipe):
    os.write(pipe, stepped_again().encode())

read, write = os.pipe()
child = os.fork()
if child == 0:
    say(write)
    os._exit(0)
print(os.waitpid(child, 0)[1], os.read(read, 64).decode() == stepped_again())

child = multiprocessing.get_context("fork").Process(target=say, args=(write,))
child.start()
child.join()
print(child.exitcode, os.read(read, 64).decode() == stepped_again())
"""


@cache
def forked() -> list[str]:
    return script(FORKING).splitlines()


@needs_native
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_after_a_native_step_on_threads_steps_as_its_parent_does():
    """By os.fork, and by multiprocessing, as a DataLoader's workers are made."""
    assert forked()[2:] == ["0 True", "0 True"]


@needs_native
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_numba_is_imported_at_the_first_native_step_and_not_before():
    assert forked()[:2] == ["False", "True"]


WITHOUT_NUMBA = """
import sys, warnings
sys.modules["numba"] = None
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from thalweg.optim import RuleOptimizer
    from thalweg.rules.gallery import GALLERY
    import torch
    results = []
    for name in ("adam", "gravity", "ades"):
        random = torch.Generator().manual_seed(0)
        params = [torch.nn.Parameter(torch.randn(size, generator=random, dtype=torch.float64)) for size in (70000, 3)]
        optimizer = RuleOptimizer(params, GALLERY[name].rule)
        for _ in range(3):
            for p in params:
                p.grad = torch.randn(p.shape, generator=random, dtype=torch.float64)
            optimizer.step()
        results += [p.detach() for p in params]
        print(optimizer.plan()[0])
print(sum("numba cannot be used" in str(warning.message) for warning in caught))
torch.save(results, sys.argv[1])
"""


@needs_native
def test_without_numba_steps_take_blocks_say_so_once_and_give_the_native_numbers(tmp_path):
    where = str(tmp_path / "results.pt")
    *plans, warned = script(WITHOUT_NUMBA, where).splitlines()
    assert warned == "1"
    assert plans[0].startswith("group 0, parameter 0 [70000]: blocks (numba cannot be used (")
    assert plans[1].startswith("group 0, parameter 0 [70000]: plain (numba cannot be used (")
    assert plans[1].endswith("; gravity reduces over whole tensors)")
    assert plans[2].startswith("group 0, parameter 0 [70000]: blocks (numba cannot be used (")

    expected = []
    for name in ("adam", "gravity", "ades"):
        random = torch.Generator().manual_seed(0)
        params = [torch.nn.Parameter(torch.randn(n, generator=random, dtype=torch.float64)) for n in (70000, 3)]
        optimizer = RuleOptimizer(params, RULES[name], backend="native")
        for _ in range(3):
            for p in params:
                p.grad = torch.randn(p.shape, generator=random, dtype=torch.float64)
            optimizer.step()
        expected += [p.detach() for p in params]
    torch.testing.assert_close(torch.load(where), expected, rtol=1e-12, atol=1e-12)

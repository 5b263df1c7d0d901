"""The examples of docs/stacked.md run, and what they print is what mathematics says."""

import re
from pathlib import Path

import torch

PAGE = (Path(__file__).parent.parent / "docs" / "stacked.md").read_text()


def test_the_examples_of_many_networks_run():
    names: dict = {}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for code in re.findall(r"```python\n(.*?)```", PAGE, flags=re.S):
            exec(code, names)
    assert names["optimizer"].steps.tolist() == [20] * 64
    assert torch.equal(names["optimizer"].hyper["lr"], torch.logspace(-4, -1, 64).double())
    # After one heavy-ball step from 0 with gradient g the loss is |lr*g + 1|^2.
    lr, g = 0.1, torch.tensor([1.0, -2.0, 0.5])
    hypergradient = torch.func.grad(names["loss_after_a_step"])(torch.tensor(lr))
    torch.testing.assert_close(hypergradient, (2 * g * (lr * g + 1)).sum())

"""The examples of the pages on many networks and on many processes run, and give what mathematics says."""

import re
from pathlib import Path

import torch

DOCS = Path(__file__).parent.parent / "docs"


def run(page: str) -> dict:
    """The names that a page's examples leave behind, run one after another."""
    names: dict = {}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for code in re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), flags=re.S):
            exec(code, names)
    return names


def test_the_examples_of_many_networks_run():
    names = run("stacked.md")
    assert names["optimizer"].steps.tolist() == [20] * 64
    assert torch.equal(names["optimizer"].hyper["lr"], torch.logspace(-4, -1, 64).double())
    # After one heavy-ball step from 0 with gradient g the loss is |lr*g + 1|^2.
    lr, g = 0.1, torch.tensor([1.0, -2.0, 0.5])
    hypergradient = torch.func.grad(names["loss_after_a_step"])(torch.tensor(lr))
    torch.testing.assert_close(hypergradient, (2 * g * (lr * g + 1)).sum())


def test_the_example_of_half_precision_runs():
    optimizer = run("distributed.md")["optimizer"]
    assert optimizer.param_groups[0]["rounding"] == "stochastic"


def test_the_examples_of_position_wise_training_run():
    names = run("sweep.md")
    assert len(names["blocks"]) == 10
    assert names["sweep"].updates == [1, 2, 3]
    assert [group["lr"] for group in names["optimizer"].param_groups] == [0.05, 0.1, 0.15000000000000002]
    assert names["shorter"].hyperparameters["length"] == 11 / 26


def test_the_examples_of_swarm_gradients_train_and_find_minima():
    names = run("swarm.md")
    assert names["loss"] < 0.35  # 1 - F1, of a target that a line tells apart
    assert names["found"].f.max() < 1e-6
    assert names["path"].f[-1].item() < 1e-4


def test_the_examples_of_search_find_the_minima(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = run("search.md")
    torch.testing.assert_close(names["result"].x, torch.full((3,), 1.5, dtype=torch.float64), atol=1e-4, rtol=0)
    assert torch.equal(names["found"].x, names["again"].x)
    assert (tmp_path / "convergence.svg").exists()


def test_the_examples_of_control_balance_the_pole():
    names = run("control.md")
    assert names["result"].reason == "target"
    assert names["objective"].steps < 500_000
    assert names["mean_return"]("cart-pole", names["best"]) > 450
    assert names["episodes"].returns.shape == (3, 5)
    assert names["curve"].steps == [2048, 4096]

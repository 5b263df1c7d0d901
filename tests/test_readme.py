"""The README's example does what it says: text to training, LaTeX and an exported file."""

import re
import subprocess
import sys
from pathlib import Path

import torch

from thalweg.tasks import mlp

README = (Path(__file__).parent.parent / "README.md").read_text()


def example() -> str:
    return examples()[0]


def examples() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README, flags=re.S)


def test_the_example_trains_and_shows_its_latex(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        exec(example(), names)
        untrained = torch.nn.functional.mse_loss(torch.zeros_like(names["y"]), names["y"])
    assert names["loss"] < untrained
    assert capsys.readouterr().out.startswith("\\begin{aligned}\nm_{t} &= \\beta \\, m_{t-1} + (1 - \\beta) \\, g_{t}")


def test_ones_own_task_races(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {"torch": torch}
    race = examples()[1]
    exec(race.replace('store="my-race"', 'store="my-race", workers=1'), names)
    shown = capsys.readouterr().out
    for method in ("adam", "gravity", "gravity-ema"):
        assert method in shown
    records = names["result"].records["task", "adam"]
    assert sum(r.test_metric for r in records) > sum(r.constant_metric for r in records)


def test_a_network_trains_through_a_loss_without_a_derivative():
    """1 - F1 of the last step is below that of no training, and autograd has no gradient of it."""
    x = torch.randn(256, 8, generator=torch.Generator().manual_seed(0))
    names = {"torch": torch, "x": x}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        untrained = torch.nn.Linear(8, 2)(x)
        torch.manual_seed(0)
        exec(examples()[2], names)
    before = names["F1Loss"]()(untrained, (x[:, 0] > 0).long())
    assert not before.requires_grad
    assert names["loss"] < before


def test_a_function_and_a_network_are_searched_without_gradients(capsys):
    x = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
    names = {"torch": torch, "x": x, "model": mlp((8, 2), torch.Generator().manual_seed(0))}
    exec(examples()[4], names)
    assert names["found"].f <= 1e-8
    assert names["result"].loss == names["error"](names["result"].module(x), (x[:, 0] > 0).long())
    assert names["result"].loss < 0.1


def test_the_exported_file_is_the_optimizer_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng():
        exec(example(), {})
    use = """
import sys
sys.modules["thalweg"] = None
import torch
from soft_sign import SoftSign
w = torch.nn.Parameter(torch.tensor([1.0]))
w.grad = torch.tensor([0.5])
SoftSign([w]).step()
print(w.item())
"""
    done = subprocess.run([sys.executable, "-c", use], cwd=tmp_path, capture_output=True, text=True, check=True)
    m = 0.1 * 0.5
    assert float(done.stdout) == torch.tensor(1 - 0.01 * m / (m + 1e-3)).item()

"""Exported optimizers: alone in a process without thalweg they equal the plain step, to the bit."""

from __future__ import annotations

import ast
import copy
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from rules.without_thalweg import Settings, exported_class, run

from thalweg import Rule
from thalweg.optim import RuleOptimizer
from thalweg.rules.gallery import GALLERY

# What a user would write: the first with one value a tensor and one for all, the second with reductions in a start.
OWN = Rule(
    "my own rule",
    """
    v = beta*v + g
    n = maximum(decays*n, norm(v))
    c = c + 1
    w = w - lr*v/(1 + n)/sqrt(c)
    """,
    state="v n c", lr=0.1, beta=0.9, decays=0.5,
)  # fmt: skip
THREE_LINES = Rule("three-lines", "m = beta*m + g\nk = 1/(1 + t)\nw = w - lr*k*tanh(m)", lr=0.1, beta=0.9)

RULES = {**{name: entry.rule for name, entry in GALLERY.items()}, "own": OWN, "three_lines": THREE_LINES}
STEPS = 20


def parameters() -> list[torch.Tensor]:
    """Of many shapes, layouts and dtypes: float64, float32, half precision, complex, 0-d, empty and transposed."""
    random = torch.Generator().manual_seed(0)

    def normal(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
        return torch.randn(shape, generator=random, dtype=torch.float64).to(dtype)

    return [
        normal(3, 4),
        normal(5, dtype=torch.bfloat16),
        normal(),
        normal(2, 3, dtype=torch.float32).t(),
        torch.complex(normal(4), normal(4)),
        normal(0),
        normal(7, dtype=torch.float32),
    ]


def gradients(like: list[torch.Tensor]) -> list[list[torch.Tensor | None]]:
    """Of both signs, with zeros; the second parameter is without one at first, the fourth now and then."""
    random = torch.Generator().manual_seed(1)
    rows: list[list[torch.Tensor | None]] = []
    for k in range(STEPS):
        row: list[torch.Tensor | None] = []
        for p in like:
            g = 0.4 * torch.randn(p.shape, generator=random, dtype=torch.float64)
            if p.is_complex():
                g = torch.complex(g, 0.4 * torch.randn(p.shape, generator=random, dtype=torch.float64))
            row.append(torch.empty_like(p).copy_(torch.where(g.abs() < 0.05, 0.0, g)))
        row[1] = None if k < 3 else row[1]
        row[3] = None if k % 6 == 4 else row[3]
        rows.append(row)
    return rows


def cases(rule: Rule) -> dict[str, Settings]:
    """The ways in which a rule is run. Between them: both decays in both kinds of group, both signs, three seeds."""
    lr = rule.hyperparameters["lr"]
    return {
        "as_published_and_resumed": {
            "keywords": {"lr": lr},
            "second_group": {"lr": 0.5 * lr, "decay": "coupled", "weight_decay": 0.1, "maximize": True},
            "joins_at": 5,
            "saved_at": 11,
        },
        "decayed_and_maximized": {
            "keywords": {"decay": "decoupled", "weight_decay": 0.1, "maximize": True, "seed": 8, "lr": 0.7 * lr},
            "second_group": {"decay": "coupled", "weight_decay": 0.2, "maximize": False},
            "joins_at": 5,
            "saved_at": -1,
        },
    }


CASES = list(cases(OWN))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every rule exported, and the results of its runs in one process that cannot import thalweg."""
    folder = tmp_path_factory.mktemp("exported")
    for name, rule in RULES.items():
        assert rule.export(folder / f"{name}.py") == folder / f"{name}.py"
    settings = {name: cases(rule) for name, rule in RULES.items()}
    like = parameters()
    torch.save({"parameters": like, "gradients": gradients(like), "settings": settings}, folder / "cases.pt")
    script = Path(__file__).with_name("without_thalweg.py")
    packages = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    command = [sys.executable, "-I", "-S", str(script), str(folder), *packages]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def results(folder: Path) -> dict[str, Any]:
    return torch.load(folder / "results.pt", weights_only=True)


def test_exports_ran_where_thalweg_could_not_be_imported(results):
    assert results["thalweg"] == "thalweg is not to be had here"
    assert results["modules"] == []
    assert set(results) == {"thalweg", "modules", *RULES}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", RULES)
def test_export_equals_the_plain_step_to_the_bit(name, case, results):
    rule, like = RULES[name], parameters()
    plain = partial(RuleOptimizer, rule=rule, backend="plain")
    expected = run(plain, like, gradients(like), cases(rule)[case])
    found = results[name][case]
    for w, wanted in zip(found["weights"], expected["weights"], strict=True):
        assert w.shape[0] == STEPS
        assert w.dtype == wanted.dtype
        assert torch.equal(w, wanted)
        assert torch.view_as_real(w).isfinite().all() if w.is_complex() else w.isfinite().all()
    assert found["states"].keys() == expected["states"].keys()
    for state, wanted in zip(found["states"].values(), expected["states"].values(), strict=True):
        assert set(state) == set(wanted) == {"step", *rule.states}
        for key, value in wanted.items():
            assert type(state[key]) is type(value)
            if isinstance(value, torch.Tensor):
                assert state[key].dtype == value.dtype
                assert torch.equal(state[key], value)
            else:
                assert state[key] == value


@pytest.mark.parametrize("name", RULES)
def test_runs_that_are_compared_move_the_parameters_and_differ_from_one_another(name, results):
    ends = [[w[-1] for w in results[name][case]["weights"]] for case in CASES]
    for index, start in enumerate(parameters()):
        if start.numel() and start.dtype != torch.bfloat16:  # which rounds the smallest steps away
            assert not torch.equal(ends[0][index], start)
            assert not torch.equal(ends[0][index], ends[1][index])


def test_random_start_is_drawn_once_a_parameter_from_the_seed(folder):
    made = exported_class(folder / "gravity.py")
    a, b = (torch.nn.Parameter(torch.zeros(4)) for _ in range(2))
    states = [made([a, b], generator=torch.Generator().manual_seed(seed)).state for seed in (3, 3, 4)]
    assert torch.equal(states[0][a]["v"], states[1][a]["v"])
    assert not torch.equal(states[0][a]["v"], states[2][a]["v"])
    assert not torch.equal(states[0][a]["v"], states[0][b]["v"])
    assert torch.equal(made([a])._seed * torch.ones(1), torch.zeros(1))


@pytest.mark.parametrize("name", RULES)
def test_export_imports_torch_and_the_standard_library_alone(name, folder):
    text = (folder / f"{name}.py").read_text()
    imported = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module)
    assert "torch" in imported
    assert imported <= {"torch", "math", "hashlib", "typing"}


@pytest.mark.parametrize("name", RULES)
def test_export_holds_the_very_source_of_the_plain_step_and_the_equations(name, folder):
    text = (folder / f"{name}.py").read_text()
    assert RULES[name].source() in text
    for line in RULES[name].text.splitlines():
        assert f"\n#     {line}\n" in text


@pytest.mark.parametrize("name", ["gravity", "adam", "own"])
def test_export_is_an_optimizer_with_the_defaults_of_its_rule(name, folder):
    rule = RULES[name]
    optimizer = exported_class(folder / f"{name}.py")([torch.nn.Parameter(torch.ones(2))])
    assert {key: optimizer.defaults[key] for key in rule.hyperparameters} == rule.hyperparameters
    assert (optimizer.defaults["decay"], optimizer.defaults["maximize"]) == (rule.decay, False)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    optimizer.param_groups[0]["params"][0].grad = torch.ones(2)
    assert optimizer.step(lambda: torch.tensor(3.0)) == 3.0
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == 0.5 * rule.hyperparameters["lr"]


def test_export_refuses_what_it_cannot_do(folder):
    made, weight = exported_class(folder / "adam.py"), torch.nn.Parameter(torch.ones(2))
    for keywords in ({"lr": -0.1}, {"lr": float("nan")}, {"weight_decay": -1.0}, {"decay": "none"}):
        with pytest.raises(ValueError, match="must be"):
            made([weight], **keywords)
    with pytest.raises(TypeError):
        made([weight], momentum=0.9)
    weight.grad = torch.sparse_coo_tensor([[0]], [1.0], (2,), check_invariants=True)
    with pytest.raises(RuntimeError, match="sparse"):
        made([weight]).step()


def test_copied_export_goes_on_as_the_original_would(folder):
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = exported_class(folder / "gravity.py")([weight], generator=torch.Generator().manual_seed(1))
    weight.grad = torch.tensor([0.5, 0.1])
    optimizer.step()
    twin = copy.deepcopy(optimizer)
    (other,) = twin.param_groups[0]["params"]
    assert other is not weight
    other.grad = weight.grad.clone()
    for one in (optimizer, twin):
        one.step()
        one.add_param_group({"params": [torch.nn.Parameter(torch.zeros(3))]})
    assert torch.equal(other, weight)
    late = [one.state[one.param_groups[1]["params"][0]]["v"] for one in (optimizer, twin)]
    assert torch.equal(*late)


# What an export must survive


def exported(rule: Rule, folder: Path) -> partial[torch.optim.Optimizer]:
    return partial(exported_class(rule.export(folder / "module.py")))


def one_step(make: Any, **keywords: Any) -> torch.Tensor:
    weight = torch.nn.Parameter(torch.tensor([0.3, -0.7], dtype=torch.float64))
    optimizer = make([weight], **keywords)
    weight.grad = torch.tensor([0.2, 0.9], dtype=torch.float64)
    optimizer.step()
    return weight.detach()


COMMENTS = [
    '"""',
    "'''",
    "\\",
    "\\\\ \\n \\N{DASH} \\x00 \\u0 \\'",
    "{{ lr }} {% raw %} {# gone #} {%- if",
    "%s %d {} {0} {lr!r} $lr",
    "*/ --> ]]> EOF ; import os",
    "' \" ` ~ @ $ ?",
]


@pytest.mark.parametrize("comment", COMMENTS)
def test_comment_of_any_characters_stays_a_comment(comment, tmp_path):
    bare = Rule("commented", "v = beta*v + g\nw = w - lr*v", lr=0.1, beta=0.9)
    lines = [f"# {comment}", f"v = beta*v + g # {comment}", f"w = w - lr*v # {comment}", f"#{comment}"]
    rule = bare.replace(text="\n".join(lines))
    assert torch.equal(one_step(exported(rule, tmp_path)), one_step(exported(bare, tmp_path)))
    text = rule.export(tmp_path / "module.py").read_text()
    assert f"\n#     # {comment}\n" in text
    assert ast.dump(ast.parse(text)) == ast.dump(ast.parse(bare.export(tmp_path / "bare.py").read_text()))


@pytest.mark.parametrize("name", ["none", "true", "1cycle", "class", "a.b c-d_e", "any", "torch", "---", "x" * 60, " "])
def test_rule_of_any_name_exports_a_class(name, tmp_path):
    rule = Rule(name, "w = w - lr*g", lr=0.5)
    assert one_step(exported(rule, tmp_path)).tolist() == [0.3 - 0.5 * 0.2, -0.7 - 0.5 * 0.9]


@pytest.mark.parametrize(
    ("init", "value"),
    [("tanh(0.5)", 0.46211715726000973), ("1e999", float("inf")), ("-1/0", -float("inf")), ("0.9**0.5", 0.9**0.5)],
)
def test_initial_value_is_worked_out_where_thalweg_is_not(init, value, tmp_path):
    rule = Rule("start", "m = 0.9*m\nw = w - lr*g*m", init={"m": init}, lr=0.1)
    weight = torch.nn.Parameter(torch.ones(2))
    assert exported(rule, tmp_path)([weight]).state[weight]["m"] == value


FROM_THE_WEIGHT = Rule(
    "slow",
    """
    n = 0.9*n + g
    slow = slow + tau*(w - slow)
    size = 0.9*size + norm(w)
    w = w - lr*n/size - tau*(w - slow)
    """,
    state="n slow size", init={"n": "normal(0, 1)", "slow": "w", "size": "norm(w)"}, lr=0.1, tau=0.5,
)  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.complex64])
@pytest.mark.parametrize("how", ["export", "plain"])
def test_state_begins_as_the_weight_where_its_initial_value_says_w(how, dtype, tmp_path):
    weight = torch.nn.Parameter(torch.tensor([3.0, -4.0]).to(dtype))
    make = exported(FROM_THE_WEIGHT, tmp_path)
    if how == "plain":
        make = partial(RuleOptimizer, rule=FROM_THE_WEIGHT, backend="plain")
    state = make([weight]).state[weight]
    real = torch.view_as_real(weight.detach()) if dtype.is_complex else weight.detach()
    assert torch.equal(state["slow"], real.to(state["slow"].dtype))
    assert float(state["size"]) == 5.0
    assert not torch.equal(state["n"], state["slow"])


def test_infinite_default_can_be_exported(tmp_path):
    rule = Rule("clipped", "w = w - lr*maximum(minimum(g, high1), high2)", lr=0.5, high=(float("inf"), -float("inf")))
    assert one_step(exported(rule, tmp_path)).tolist() == [0.3 - 0.5 * 0.2, -0.7 - 0.5 * 0.9]
    assert one_step(exported(rule, tmp_path), high=(0.5, 0.0)).tolist() == [0.3 - 0.5 * 0.2, -0.7 - 0.5 * 0.5]


# The file


def test_export_replaces_a_file_whole(tmp_path):
    path = tmp_path / "module.py"
    path.write_text("x" * 100_000)
    Rule("sgd", "w = w - lr*g", lr=0.1).export(path)
    assert path.read_text().startswith('"""The optimizer "sgd"')
    assert "xx" not in path.read_text()
    assert os.listdir(tmp_path) == ["module.py"]


@pytest.mark.parametrize("failing", ["replace", "fdopen", "chmod"])
@pytest.mark.parametrize("before", ["old content", None], ids=["over-a-file", "new"])
def test_export_that_fails_leaves_what_was_there_and_nothing_else(failing, before, tmp_path, monkeypatch):
    path = tmp_path / "module.py"
    if before is not None:
        path.write_text(before)

    def fail(*arguments: object, **keywords: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, failing, fail)
        with pytest.raises(OSError, match="no space left"):
            Rule("sgd", "w = w - lr*g", lr=0.1).export(path)
    assert (path.read_text() if path.exists() else None) == before
    assert os.listdir(tmp_path) == ([] if before is None else ["module.py"])


def test_export_into_a_missing_folder_is_an_error_and_makes_none(tmp_path):
    with pytest.raises(OSError, match="missing"):
        Rule("sgd", "w = w - lr*g", lr=0.1).export(tmp_path / "missing" / "module.py")
    assert os.listdir(tmp_path) == []

"""`Rule` as a value: equality, copies, hyperparameters, the clock, and what it prints."""

from __future__ import annotations

import ast
import copy
import pickle
import subprocess
import sys

import pytest
import torch

from thalweg import Rule
from thalweg.rules import plain
from thalweg.rules.gallery import GALLERY

RULES = {name: entry.rule for name, entry in GALLERY.items()}
every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)

ARGUMENTS = {
    "name": "own",
    "text": "m = beta1*m + (1 - beta1)*g\nn = n + beta2\nw = w - lr*m/n",
    "state": "m n",
    "init": {"m": "normal(0, alpha)", "n": "1"},
    "first_step": 0,
    "decay": "decoupled",
    "lr": 0.1,
    "betas": (0.9, 0.5),
    "alpha": 2.0,
    "weight_decay": 0.25,
}
OWN = Rule(**ARGUMENTS)

# Each change makes another rule.
CHANGES = {
    "name": {"name": "other"},
    "text": {"text": ARGUMENTS["text"].replace("lr*m", "lr*(m)")},
    "declaration": {"state": None},
    "order-of-states": {"state": "n m"},
    "init": {"init": {"m": "normal(0, alpha)", "n": "2"}},
    "less-init": {"init": {"m": "normal(0, alpha)"}},
    "first-step": {"first_step": 1},
    "decay": {"decay": "coupled"},
    "lr": {"lr": 0.2},
    "one-of-a-tuple": {"betas": (0.9, 0.6)},
    "weight-decay": {"weight_decay": 0.0},
}


# Equality


def test_rules_of_one_definition_are_equal_and_hash_alike():
    again = Rule(**ARGUMENTS)
    assert again is not OWN
    assert again == OWN
    assert hash(again) == hash(OWN)
    assert len({again, OWN}) == 1


def test_order_of_keyword_arguments_does_not_matter():
    shuffled = dict(reversed(ARGUMENTS.items()))
    shuffled["init"] = dict(reversed(ARGUMENTS["init"].items()))
    assert Rule(**shuffled) == OWN
    assert hash(Rule(**shuffled)) == hash(OWN)


def test_spelling_of_arguments_does_not_matter():
    """States as a list, numbers as integers and lists, lines indented and apart: the same definition."""
    lines = [f"\n    {line}   " for line in ARGUMENTS["text"].splitlines()]
    spelt = {**ARGUMENTS, "state": ["m", "n"], "text": "\n".join(lines), "betas": [0.9, 0.5], "alpha": 2}
    assert Rule(**spelt) == OWN


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_rule_with_anything_changed_is_another(change):
    changed = OWN.replace(**change)
    assert changed != OWN
    assert changed.replace(**{key: ARGUMENTS[key] for key in change}) == OWN


def test_rule_equals_nothing_but_rules():
    assert OWN.text != OWN
    assert OWN.definition() != OWN


def test_gallery_rules_are_all_different():
    assert len(set(RULES.values())) == len(RULES)


# Copies


@every_rule
def test_pickle_deepcopy_and_definition_give_an_equal_rule_that_steps_alike(rule):
    w = torch.tensor([0.5, -2.0, 0.0], dtype=torch.float64)
    scalars = rule.scalars(rule.hyperparameters)
    states = [0.5 if rule.program.kinds[s] == 0 else torch.full_like(w, 0.5) for s in rule.states]

    def step(one: Rule) -> list[torch.Tensor]:
        made = plain.step(one)(w, w.flip(0), *states, t=3.0, **scalars, maximize=False, decay=one.decay)
        return [torch.as_tensor(value) for value in made]

    for copied in (pickle.loads(pickle.dumps(rule)), copy.deepcopy(rule), copy.copy(rule), Rule(**rule.definition())):
        assert copied == rule
        assert hash(copied) == hash(rule)
        assert (copied.states, copied.text, copied.first_step) == (rule.states, rule.text, rule.first_step)
        assert copied.hyperparameters == rule.hyperparameters
        torch.testing.assert_close(step(copied), step(rule), rtol=0, atol=0, equal_nan=True)


def test_definition_is_the_arguments_and_a_copy_of_them():
    definition = OWN.definition()
    assert {**definition, "state": " ".join(definition["state"])} == ARGUMENTS
    definition["init"]["m"] = "0"
    assert OWN.definition()["init"]["m"] == "normal(0, alpha)"


def test_rule_keeps_no_hold_on_what_it_was_given():
    init, betas, states = dict(ARGUMENTS["init"]), [0.9, 0.5], ["m", "n"]
    rule = Rule(**{**ARGUMENTS, "init": init, "betas": betas, "state": states})
    init["m"], betas[0], states[0] = "0", 0.1, "z"
    assert rule == OWN


def test_unpickling_runs_the_checks_of_construction():
    payload = pickle.dumps(OWN).replace(b"w = w - lr*m/n", b"w = open(lr*m)")
    with pytest.raises(ValueError, match="'open'"):
        pickle.loads(payload)


# Hyperparameters


def test_hyperparameters_cannot_be_changed():
    with pytest.raises(TypeError):
        OWN.hyperparameters["lr"] = 1.0
    with pytest.raises(TypeError):
        del OWN.hyperparameters["lr"]
    with pytest.raises(TypeError):
        OWN.initial["m"] = None
    assert OWN.hyperparameters["lr"] == 0.1


def test_replace_leaves_the_rule_as_it_was():
    changed = OWN.replace(lr=7, first_step=1)
    assert (changed.hyperparameters["lr"], changed.first_step) == (7.0, 1)
    assert Rule(**ARGUMENTS) == OWN


def test_replace_checks_as_construction_does():
    with pytest.raises(ValueError, match="lr must be a number"):
        OWN.replace(lr="fast")
    with pytest.raises(ValueError, match="'gamma' is never read"):
        OWN.replace(gamma=1.0)
    with pytest.raises(ValueError, match="init names 'z'"):
        OWN.replace(init={"z": "1"})


def test_lr_and_weight_decay_are_hyperparameters_of_every_rule():
    assert Rule("bare", "w = w - g").hyperparameters == {"lr": 1.0, "weight_decay": 0.0}
    for rule in RULES.values():
        assert list(rule.hyperparameters)[:2] == ["lr", "weight_decay"]


@pytest.mark.parametrize(
    ("key", "value", "names"),
    [
        ("betas", (0.9, 0.99), {"beta1": 0.9, "beta2": 0.99}),
        ("betas", (0.9,), {"beta1": 0.9}),
        ("betas", [0.5, 0.6, 0.7], {"beta1": 0.5, "beta2": 0.6, "beta3": 0.7}),
        ("step_sizes", (1e-6, 50), {"step_size1": 1e-6, "step_size2": 50.0}),
        ("nu", (1.0, 2.0), {"nu1": 1.0, "nu2": 2.0}),
        ("beta", 0.9, {"beta": 0.9}),
    ],
)
def test_tuple_is_one_hyperparameter_read_under_numbered_names(key, value, names):
    rule = Rule("tuples", f"w = w - lr*g*({' + '.join(names)})", lr=0.1, **{key: value})
    assert rule.scalars(rule.hyperparameters) == {"lr": 0.1, "weight_decay": 0.0, **names}
    expected = tuple(names.values()) if len(names) > 1 or isinstance(value, tuple) else value
    assert rule.hyperparameters[key] == expected


def test_tuple_itself_cannot_be_read():
    with pytest.raises(ValueError, match="'betas' is unknown"):
        Rule("tuples", "w = w - lr*g*betas*beta1*beta2", lr=0.1, betas=(0.9, 0.99))


def test_scalars_are_those_of_the_values_given_not_of_the_defaults():
    given = {"lr": 3, "weight_decay": 0, "betas": [0.25, 0.75], "alpha": 1}
    found = OWN.scalars(given)
    assert found == {"lr": 3.0, "weight_decay": 0.0, "beta1": 0.25, "beta2": 0.75, "alpha": 1.0}
    assert {type(value) for value in found.values()} == {float}


# The clock


@pytest.mark.parametrize("first_step", [0, 1])
def test_first_step_is_where_t_begins(first_step):
    rule = Rule("clock", "w = w - lr*g*t", lr=1.0, first_step=first_step)
    assert rule.first_step == first_step
    assert rule.response([1.0, -2.0]).tolist() == [1.0 * first_step, -2.0 * first_step]
    assert rule.response([1.0, -2.0], steps=3).tolist() == [2.0 + first_step, -4.0 - 2 * first_step]


def test_first_step_is_1_unless_said():
    assert Rule("clock", "w = w - lr*g/t", lr=1.0).first_step == 1


# What it prints


def test_text_is_its_lines_stripped_blank_ones_gone_comments_kept():
    rule = Rule("tidy", "\n\n   # why\n\tz = g  # what\n   \n      w = w - lr*z   \n\n", lr=0.1)
    assert rule.text == "# why\nz = g  # what\nw = w - lr*z"
    assert str(rule) == rule.text


def test_repr_shows_name_text_and_hyperparameters_and_decay_only_where_there_is_some():
    plain_rule = Rule("sgd", "w = w - lr*g", lr=0.1)
    assert repr(plain_rule) == "Rule('sgd', 'w = w - lr*g', lr=0.1)"
    assert eval(repr(plain_rule), {"Rule": Rule}) == plain_rule
    assert repr(OWN).startswith("Rule('own', 'm = beta1*m")
    assert repr(OWN).endswith("lr=0.1, weight_decay=0.25, betas=(0.9, 0.5), alpha=2.0)")


@every_rule
def test_source_is_python_of_one_function_and_nothing_beside(rule):
    tree = ast.parse(rule.source())
    (function,) = tree.body
    assert isinstance(function, ast.FunctionDef)
    names = [argument.arg for argument in function.args.args]
    scalars = [*rule.scalars(rule.hyperparameters)]
    assert names == ["w", "g", *rule.states, "t", *scalars, "maximize", "decay"]
    returned = function.body[-1]
    assert isinstance(returned, ast.Return)
    assert [part.id for part in returned.value.elts] == ["w", *rule.states]
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Import | ast.ImportFrom | ast.Lambda | ast.Subscript | ast.While | ast.For)
        if isinstance(node, ast.Attribute):
            assert node.value.id in ("torch", "math") or node.attr == "clone"


def test_source_of_gravity_reads_as_the_paper_does():
    lines = [line.strip() for line in GALLERY["gravity"].rule.source().splitlines()]
    assert lines[0] == "def step(w, g, v, t, lr, weight_decay, alpha, beta, maximize, decay):"
    assert lines[-5:] == [
        "z = g/(1.0 + torch.square(g*_max_abs(g)))",
        "k = _div(beta*t + 1.0, t + 2.0)",
        "v = k*v + (1.0 - k)*z",
        "w = w - lr*v",
        "return w, v,",
    ]


def test_making_a_rule_imports_no_numba_and_no_matplotlib():
    """What is derived from a rule is imported when first asked for: a rule alone is cheap."""
    code = (
        "import sys; from thalweg.rules import Rule; Rule('sgd', 'w = w - lr*g', lr=0.1); "
        "print([name for name in ('numba', 'matplotlib', 'jinja2', 'thalweg.rules.native') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""The rule language: what is refused, where the error points, and that nothing of a text is ever executed."""

from __future__ import annotations

import ast
import builtins
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from hostile_texts import HOSTILE, LEGAL
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rules.random_rules import GENOMES, PROGRAMS, Genome, as_text

from thalweg import Rule
from thalweg.rules import plain
from thalweg.rules.gallery import GALLERY
from thalweg.rules.operators import FUNCTIONS

PLACE = re.compile(
    r"rule '[^']*'(, init of '\w+')?, line (\d+), column (\d+): (.+); (allowed|needed|known|known here): (.+)"
)


def rule_of(text: str) -> Rule:
    """The rule that a text of hostile_texts.py is meant for."""
    return Rule("text", text, **({"lr": 0.1} if re.search(r"\blr\b", text) else {}))


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def stepped(rule: Rule, like: torch.Tensor | None = None) -> tuple[torch.Tensor | float, ...]:
    """What two plain steps on fixed float64 gradients make."""
    w = torch.tensor([0.5, -2.0, 0.0, 1e-3], dtype=torch.float64) if like is None else like
    scalars = rule.scalars(rule.hyperparameters)
    states = plain.initial(rule)(w, torch.Generator().manual_seed(0), **scalars)
    kinds = [rule.program.kinds[state] for state in rule.states]
    values = [value if kind == 0 else torch.zeros_like(w) + value for kind, value in zip(kinds, states, strict=True)]
    for i, g in enumerate((w.flip(0), torch.zeros_like(w))):
        t = float(rule.first_step + i)
        w, *values = plain.step(rule)(w, g, *values, t=t, **scalars, maximize=False, decay=rule.decay)
    return (w, *values)


# Refusals


@pytest.mark.parametrize("text", [text for _, text in HOSTILE], ids=[name for name, _ in HOSTILE])
def test_hostile_text_is_refused_in_50_ms_with_place_what_was_found_and_what_is_allowed(text):
    def refuse() -> None:
        with pytest.raises(ValueError, match=":") as caught:
            rule_of(text)
        messages.append(str(caught.value))

    messages: list[str] = []
    assert min(seconds(refuse) for _ in range(3)) < 0.05
    match = PLACE.fullmatch(messages[0])
    assert match, messages[0]
    lines = text.split("\n")
    line, column = int(match[2]), int(match[3])
    assert 1 <= line <= len(lines)
    assert 1 <= column <= len(lines[line - 1]) + 1
    # Whatever was found is quoted so that it can neither look like something else nor drive a terminal.
    assert messages[0].isascii()
    assert messages[0].isprintable()


@pytest.mark.parametrize("text", [text for _, text in LEGAL], ids=[name for name, _ in LEGAL])
def test_legal_text_steps_without_raising_whatever_comes_out(text):
    w, *_ = stepped(rule_of(text))
    assert w.shape == (4,)
    assert w.dtype == torch.float64


def test_there_are_at_least_40_hostile_texts_and_no_text_twice():
    assert len(HOSTILE) >= 40
    for texts in (HOSTILE, LEGAL, [*HOSTILE, *LEGAL]):
        assert len({name for name, _ in texts}) == len({text for _, text in texts}) == len(texts)


@pytest.mark.parametrize(
    ("text", "line", "column", "found"),
    [
        ("w = w - lr*grad", 1, 12, "'grad'"),
        ("z = g\n\n   w = w - lr*abs(z, z)", 3, 15, "abs with 2 arguments"),
        ("z = g\nw = w - lr*z.data", 2, 13, "'.'"),
        ("# first\nw = w - lr*torch", 2, 12, "'torch'"),
        ("w = w - lr*(g > 0)", 1, 13, "comparison"),
        ("w = w - lr*g\n  z = sin(g)", 2, 7, "'sin'"),
        ("z = g\nz = g\nw = w - lr*z", 2, 1, "'z' is assigned a second time"),
        ("  g = w\nw = w - lr*g", 1, 3, "'g' is assigned"),
        ("w = w - lr*g\n\timport os", 2, 2, "'import'"),
        ("w = w - lr*g * 1_0", 1, 16, "'1_'"),
        ("w = w - lr*g\nz = norm(lr)", 2, 5, "norm of a scalar value"),
        ("z = g\n w = norm(g)*lr", 2, 2, "per-tensor"),
        ("w = w - lr*g\n" + "x" * 501, 2, 501, "501 characters"),
        ("w = w - lr*" + "(" * 51 + "g" + ")" * 51, 1, 62, "50"),
        ("w = w + (lr*g", 1, 9, "'('"),
    ],
)
def test_error_points_at_the_very_place(text, line, column, found):
    with pytest.raises(ValueError, match=rf"rule 'place', line {line}, column {column}: ") as caught:
        Rule("place", text, lr=0.1)
    assert found in str(caught.value).partition(f"column {column}: ")[2].partition(";")[0]


def test_error_of_unknown_function_lists_every_operator():
    with pytest.raises(ValueError, match="sin") as caught:
        Rule("sine", "w = w - lr*sin(g)", lr=0.1)
    allowed = str(caught.value).partition("; allowed: ")[2]
    assert all(re.search(rf"\b{name}\b", allowed) for name in FUNCTIONS)


def test_error_of_unknown_name_lists_the_names_known_there():
    with pytest.raises(ValueError, match=r"known: beta1, beta2, g, lr, m, t, w$"):
        Rule("names", "m = beta1*m + beta2*velocty\nw = w - lr*m", lr=0.1, betas=(0.9, 0.99))


# Tensors, and everything else that is no float, in a scalar place


@pytest.mark.parametrize(
    ("text", "init"),
    [
        ("m = m + g\nw = w - lr*m", {"m": "normal(0, w)"}),
        ("m = m + g\nw = w - lr*m", {"m": "normal(norm(w), 1)"}),
        ("m = m + g\nw = w - lr*m", {"m": "normal(normal(0, 1), 1)"}),
        ("m = m + g\nw = w - lr*m", {"m": "norm(lr)"}),
        ("w = w - lr*g/norm(t)", {}),
        ("w = w - lr*g/max_abs(lr*t)", {}),
        ("w = w - lr*g*mean(norm(g))", {}),
        ("n = n + max_abs(g)\nw = w - lr*g/norm(n)", {}),
    ],
)
def test_value_of_another_kind_than_an_operator_takes_is_refused_with_its_place(text, init):
    with pytest.raises(ValueError, match=r"line \d+, column \d+: .+ of a .+ value; allowed: a .+ value"):
        Rule("kinds", text, init=init, lr=0.1)


NO_NUMBERS = {
    "tensor-of-3": torch.ones(3),
    "array-of-3": np.ones(3),
    "array-of-0": np.ones(0),
    "parameter-of-3": torch.nn.Parameter(torch.ones(3)),
    "text": "0.1",
    "bytes": b"ab",
    "nan": float("nan"),
    "numpy-nan": np.float64("nan"),
    "true": True,
    "numpy-true": np.True_,
    "none": None,
    "complex": 1 + 0j,
    "integer-beyond-floats": 10**400,
    "tuple-with-nan": (0.9, float("nan")),
    "tuple-with-text": (0.9, "0.99"),
    "tuple-with-true": (0.9, True),
    "tuple-of-tuples": ((0.9, 0.99), 0.9),
    "empty-tuple": (),
    "dict": {"a": 1.0},
    "set": {0.1},
    "function": abs,
}


@pytest.mark.parametrize("value", NO_NUMBERS.values(), ids=NO_NUMBERS)
def test_hyperparameter_that_is_no_number_is_refused_by_name(value):
    with pytest.raises(ValueError, match=r"^lr must be a number"):
        Rule("numbers", "w = w - lr*g", lr=value)


@pytest.mark.parametrize("key", ["lr", "weight_decay"])
def test_lr_and_weight_decay_are_single_numbers(key):
    with pytest.raises(ValueError, match=key):
        Rule("pair", f"w = w - {key}1*{key}2*g" if key == "lr" else "w = w - g", **{key: (0.1, 0.2)})


@pytest.mark.parametrize(
    "value", [2, 2.0, np.float32(2), np.int64(2), np.array(2.0), np.array([2.0])],
    ids=["int", "float", "float32", "int64", "array-of-no-dimension", "array-of-one"],
)  # fmt: skip
def test_numbers_of_any_library_become_floats(value):
    rule = Rule("numbers", "w = w - lr*g", lr=value)
    assert type(rule.hyperparameters["lr"]) is float
    assert rule.hyperparameters["lr"] == 2.0


# Names


@pytest.mark.parametrize(
    "name",
    ["w", "g", "t", "abs", "where", "normal", "negative", "torch", "math", "np", "generator", "_x", "__class__", "_",
     "lambda", "None", "x" * 41, "alpha-1", "höhe", "1st", "", "maximize"],
)  # fmt: skip
def test_hyperparameter_cannot_have_a_name_that_is_taken_or_no_name(name):
    with pytest.raises(ValueError, match=r"rule 'clash'"):
        Rule("clash", "w = w - lr*g", lr=0.1, **{name: 0.5})


@pytest.mark.parametrize(
    "hyperparameters",
    [
        {"beta1": 0.5, "betas": (0.9, 0.99)},
        {"betas": (0.9, 0.99), "beta1": 0.5},
        {"beta": (0.9, 0.99), "betas": (0.9, 0.99)},
        {"betas": (0.9, 0.99), "beta": (0.9, 0.99)},
    ],
    ids=["beta1-betas", "betas-beta1", "beta-betas", "betas-beta"],
)
def test_two_hyperparameters_cannot_share_a_name_in_the_text(hyperparameters):
    with pytest.raises(ValueError, match="'beta1' is taken"):
        Rule("clash", "w = w - lr*beta1*beta2*g", lr=0.1, **hyperparameters)


@pytest.mark.parametrize(
    ("text", "hyperparameters"),
    [("step = step + g\nw = w - lr*step", {}), ("w = w - lr*params*g", {"params": 0.5})],
    ids=["step", "params"],
)
def test_name_that_an_optimizer_keeps_for_itself_cannot_be_a_state_or_a_hyperparameter(text, hyperparameters):
    """An optimizer's states hold its own "step", its groups their own "params"."""
    with pytest.raises(ValueError, match=r"'(step|params)' is taken"):
        Rule("clash", text, lr=0.1, **hyperparameters)


def test_hyperparameter_that_nothing_reads_is_refused_by_name():
    with pytest.raises(ValueError, match="'beta' is never read"):
        Rule("idle", "w = w - lr*g", lr=0.1, beta=0.9)
    with pytest.raises(ValueError, match="'beta2' is never read"):
        Rule("idle", "w = w - lr*beta1*g", lr=0.1, betas=(0.9, 0.99))


def test_hyperparameter_read_in_an_initial_value_alone_is_read():
    rule = Rule("start", "m = 0.9*m + g\nw = w - lr*m", init={"m": "alpha"}, lr=0.1, alpha=2.0)
    assert rule.hyperparameters["alpha"] == 2.0


@pytest.mark.parametrize("lr", [0.1, 0.0, 2.0])
def test_lr_of_a_text_without_lr_must_be_1(lr):
    assert Rule("direct", "w = w - g").hyperparameters["lr"] == 1.0
    assert Rule("direct", "w = w - g", lr=1).hyperparameters["lr"] == 1.0
    with pytest.raises(ValueError, match=rf"no lr in its text, so lr must be 1, got {lr}"):
        Rule("direct", "w = w - g", lr=lr)


def test_weight_decay_cannot_be_written_in_the_text():
    for text in ("w = w - lr*(g + weight_decay*w)", "weight_decay = 0.1\nw = w - lr*g"):
        with pytest.raises(ValueError, match="'weight_decay'"):
            Rule("decayed", text, lr=0.1)


# Initial values


@pytest.mark.parametrize(
    ("init", "error"),
    [
        ({"v": "1"}, "init names 'v'"),
        ({"w": "1"}, "init names 'w'"),
        ({"z": "1"}, "init names 'z'"),
        ({"m": "g"}, r"line 1, column 1: 'g' is unknown"),
        ({"m": "1 + t"}, r"line 1, column 5: 't' is unknown"),
        ({"m": "2*m"}, r"line 1, column 3: 'm' is unknown"),
        ({"m": "weight_decay"}, r"line 1, column 1: 'weight_decay' is unknown"),
        ({"m": "normal(0)"}, r"line 1, column 1: normal with 1 arguments"),
        ({"m": "m = 1"}, r"line 1"),
        ({"m": ""}, r"line 1, column 1: 0 lines"),
        ({"m": "1\n2"}, r"2 lines"),
        ({"m": "uniform(0, 1)"}, r"line 1, column 1: a call of 'uniform'"),
        ({"m": "__import__('os')"}, r"line 1, column 1: found '__import__'"),
    ],
)
def test_initial_value_is_an_expression_of_hyperparameters_the_weight_and_normal(init, error):
    with pytest.raises(ValueError, match=error):
        Rule("start", "z = g\nm = 0.9*m + z\nw = w - lr*m", init=init, lr=0.1)


@pytest.mark.parametrize("value", [0, 1.5, None])
def test_initial_value_must_be_a_text(value):
    with pytest.raises((TypeError, ValueError), match="init"):
        Rule("start", "m = 0.9*m + g\nw = w - lr*m", init={"m": value}, lr=0.1)


# The other arguments


@pytest.mark.parametrize("name", ["", "x" * 61, "two\nlines", 'quo"te', "a/b", "{{ name }}", "höhe", 5, None, "a\\b"])
def test_rule_name_is_1_to_60_plain_characters(name):
    with pytest.raises(ValueError, match="name must be"):
        Rule(name, "w = w - lr*g", lr=0.1)


@pytest.mark.parametrize("text", [None, 5, b"w = w - g", ["w = w - g"]])
def test_text_must_be_a_string(text):
    with pytest.raises(TypeError, match="text must be a string"):
        Rule("bytes", text)


@pytest.mark.parametrize("first_step", [2, -1, 0.5, "0", None])
def test_first_step_is_0_or_1(first_step):
    with pytest.raises(ValueError, match="first_step must be 0 or 1"):
        Rule("late", "w = w - lr*g/t", first_step=first_step, lr=0.1)


@pytest.mark.parametrize("decay", ["none", "", None, True])
def test_decay_is_coupled_or_decoupled(decay):
    with pytest.raises(ValueError, match="decay must be 'coupled' or 'decoupled'"):
        Rule("decayed", "w = w - lr*g", decay=decay, lr=0.1)


# States


def test_names_read_early_are_states_in_the_order_of_their_reading():
    text = "z = v + m\nv = g\nm = z\nw = w - lr*z"
    assert Rule("order", text, lr=0.1).states == ("v", "m")
    assert Rule("order", text, state="m v", lr=0.1).states == ("m", "v")


def test_state_declared_but_never_read_early_is_refused():
    with pytest.raises(ValueError, match="the state 'v' is never read before it is assigned"):
        Rule("idle", "m = 0.9*m + g\nv = m\nw = w - lr*v", state="m v", lr=0.1)
    with pytest.raises(ValueError, match="the state 'u' is never read"):
        Rule("idle", "m = 0.9*m + g\nw = w - lr*m", state="m u", lr=0.1)


def test_name_read_early_beside_the_declared_states_is_refused_with_its_place():
    with pytest.raises(ValueError, match=r"line 1, column 5: 'u' is read before it is assigned, and is not declared"):
        Rule("misordered", "v = u + v\nu = g\nw = w - lr*v", state="v", lr=0.1)
    with pytest.raises(ValueError, match=r"line 1, column 5: 'v' is read before"):
        Rule("misordered", "v = 0.9*v + g\nw = w - lr*v".replace("0.9*", ""), state="", lr=0.1)


def test_declared_state_must_be_assigned():
    with pytest.raises(ValueError, match=r"line 1, column 12: 'm' is unknown: a state must be assigned"):
        Rule("constant", "w = w - lr*m", state="m", lr=0.1)


@pytest.mark.parametrize("state", ["m m", ["m", "m"]])
def test_state_declared_twice_is_refused(state):
    with pytest.raises(ValueError, match="'m'"):
        Rule("twice", "m = 0.9*m + g\nw = w - lr*m", state=state, lr=0.1)


# Nothing is executed, nothing hangs


class Watch:
    """Notes every attempt to compile for execution, execute, import or open, while it is on."""

    EVENTS = re.compile(r"exec|open|import|os\..*|subprocess\..*|socket\..*|ctypes\..*|shutil\..*|marshal\..*")

    def __init__(self) -> None:
        self.on = False
        self.seen: list[str] = []
        sys.addaudithook(self.audit)  # for the life of the process: there is no taking it off

    def audit(self, event: str, arguments: tuple[object, ...]) -> None:
        # To show the line of a syntax error, CPython looks for the file that `ast.parse` says the text is from.
        if self.on and self.EVENTS.fullmatch(event) and arguments[:1] != ("<unknown>",):
            self.seen.append(f"{event} {arguments[:1]!s:.80}")

    @contextmanager
    def over(self) -> Iterator[None]:
        originals = {name: getattr(builtins, name) for name in ("compile", "exec", "eval", "open", "__import__")}

        def noted(name: str) -> Callable[..., object]:
            def call(*arguments: object, **keywords: object) -> object:
                flags = keywords.get("flags", arguments[3] if len(arguments) > 3 else 0)
                if name != "compile" or not (isinstance(flags, int) and flags & ast.PyCF_ONLY_AST):
                    self.seen.append(f"{name} {arguments[:1]!s:.80}")
                return originals[name](*arguments, **keywords)

            return call

        self.on = True
        try:
            for name in originals:
                setattr(builtins, name, noted(name))
            yield
        finally:
            for name, original in originals.items():
                setattr(builtins, name, original)
            self.on = False


WATCH = Watch()


def attempt(text: str, **arguments: object) -> Rule | None:
    """The rule, or None where the text was refused; fails where anything ran, took a second, or went otherwise."""
    WATCH.seen.clear()
    start = time.process_time()
    with WATCH.over():
        try:
            rule = Rule("fuzz", text, **arguments)
        except ValueError:
            rule = None
    assert time.process_time() - start < 1  # of this process, whatever else the machine does
    assert not WATCH.seen
    return rule


def test_watch_sees_what_it_watches_for(tmp_path):
    with WATCH.over():
        exec("1")
        eval("1")
        open(tmp_path / "file", "w").close()
        __import__("os").getpid()
        compile("1", "", "eval")
        ast.parse("1")
    noted = [line.split()[0] for line in WATCH.seen]
    assert {"exec", "eval", "open", "__import__", "compile"} <= set(noted)
    assert noted.count("compile") == 1
    WATCH.seen.clear()


@pytest.mark.parametrize("texts", [HOSTILE, LEGAL], ids=["hostile", "legal"])
def test_nothing_is_executed_while_a_text_is_read(texts):
    for _, text in texts:
        attempt(text)


def test_kinds_that_spread_from_the_last_of_many_long_lines_to_the_first_are_found_within_a_second():
    """Each line is per-weight only because of the next, and as long as it may be."""
    lines = [f"m{i} = m{i + 1}" + "+t" * 230 for i in range(60)]
    rule = attempt("\n".join([*lines, "m60 = m60 + g", "w = w - m0"]))
    assert {str(rule.program.kinds[state]) for state in rule.states} == {"per-weight"}


@pytest.mark.parametrize(
    "text",
    [
        "w = w - g*(1" + "/1" * 230 + ")",
        "w = w - g*(t" + "/w" * 200 + ")",
        "w = w - g*" + "(t/" * 49 + "t" + ")" * 49,
        "w = w - g" + "*(1 - t" * 49 + ")" * 49,
        "w = w - g*(" + "-" * 49 + "t)**" + "-" * 49 + "2",
        "w = w" + "-norm(g)" * 61,
        "w = w - " + "sqrt(" * 49 + "g" + ")" * 49,
    ],
    ids=["divided-scalars", "divided-tensors", "nested-divisions", "nested-products", "signs", "norms", "calls"],
)
def test_text_that_is_accepted_can_be_stepped_however_deep(text):
    rule = attempt(text)
    if rule is not None:
        assert stepped(rule)[0].shape == (4,)


TOKENS = (
    *("w", "g", "t", "lr", "m", "z", "beta", "0", "1", "2.5", "1e-8", "1e999", ".5", "7."),
    *("+", "-", "*", "/", "**", "(", ")", ",", "=", "<", "==", "!=", "\n", "\n", "w =", "m =", "z = g\n", "# x"),
    *("abs", "sqrt(", "where(", "g > 0,", "minimum(", "norm(", "mean(", "safe_div(", "normal(0, 1)"),
    *(
        "import",
        "lambda",
        "__import__",
        "[",
        "]",
        "{",
        ":",
        ";",
        ".",
        "'",
        '"',
        "\\",
        "@",
        "%",
        "\t",
        "\r",
        "\x00",
        "é",
    ),
)
OPERANDS = ("w", "g", "t", "m", "u", "0.5", "1e999", "-g", "abs(g)", "norm(g)", "(w)", "where(g > t, w, m)", "lr")
ANYTHING = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="wgt=+-*/(). \n1e", max_size=40),
    st.tuples(st.text(max_size=10), st.text(max_size=10)).map(lambda p: f"{p[0]}w = w - lr*g{p[1]}"),
)
ALIKE = (("+", "-", "*", "/", "**"), ("w", "g", "t", "lr", "m", "v"), ("0", "1", "2", "1e-8"), ("sqrt", "abs", "norm"))
DEFINITIONS = [entry.rule.definition() for entry in GALLERY.values()]

Case = tuple[str, dict[str, object]]


def soup(genome: Genome) -> Case:
    """A right line with any tokens after it, or up to three equations of chained operands."""
    if genome.below(2):
        tokens = [genome.pick(TOKENS) for _ in range(genome.below(25))]
        return f"w = w - lr*g {' '.join(tokens)}", {"lr": 0.1}
    lines = []
    for name in [genome.pick(("w", "m", "z", "u")) for _ in range(1 + genome.below(3))]:
        pairs = [genome.pick(OPERANDS) + genome.pick("+-*/,") for _ in range(1 + genome.below(4))]
        lines.append(f"{name} = {''.join(pairs)}g")
    return "\n".join(lines), {}


def mutated(genome: Genome) -> Case:
    """A gallery rule with one or two tokens changed to one alike or to anything, and its other arguments."""
    definition = DEFINITIONS[genome.below(len(DEFINITIONS))]
    tokens = re.findall(r"\w+|\*\*|[^\w\s]|\s+", definition["text"])
    for _ in range(1 + genome.below(2)):
        at = genome.below(len(tokens))
        alike = next((group for group in ALIKE if tokens[at] in group), TOKENS)
        tokens[at] = genome.pick(TOKENS if genome.below(3) == 0 else alike)
    rest = {key: value for key, value in definition.items() if key not in ("name", "text")}
    if genome.below(2):
        rest["state"] = None
    return "".join(tokens), rest


def fuzz(count: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Hypothesis, with so many examples, the same in every run."""
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    return settings(max_examples=count, deadline=None, derandomize=True, database=None, suppress_health_check=checks)


def assert_only_refused_or_stepped(cases: st.SearchStrategy[Case], count: int, accepted: int, refused: int) -> None:
    """Tries `count` cases, at least so many of which must come out either way, or the cases test little."""
    outcomes = []

    @fuzz(count)
    @given(cases)
    def try_one(case: Case) -> None:
        text, arguments = case
        rule = attempt(text, **arguments)
        outcomes.append(rule is not None)
        if rule is not None:
            w, *states = stepped(rule)
            assert w.dtype == torch.float64
            assert w.shape == (4,)
            assert all(isinstance(state, float) or state.dtype == torch.float64 for state in states)

    try_one()
    assert len(outcomes) >= count
    assert outcomes.count(True) >= accepted
    assert outcomes.count(False) >= refused


def test_of_1500_soups_of_its_own_tokens_each_is_refused_or_steps():
    assert_only_refused_or_stepped(GENOMES.map(soup), 1500, accepted=50, refused=500)


def test_of_1500_gallery_rules_changed_at_random_each_is_refused_or_steps():
    assert_only_refused_or_stepped(GENOMES.map(mutated), 1500, accepted=150, refused=500)


def test_of_1000_texts_of_any_characters_each_is_refused_or_steps():
    assert_only_refused_or_stepped(ANYTHING.map(lambda text: (text, {"lr": 0.1})), 1000, accepted=1, refused=500)


def test_each_of_1000_random_programs_steps():
    assert_only_refused_or_stepped(PROGRAMS.map(lambda lines: (as_text(lines), {})), 1000, accepted=1000, refused=0)

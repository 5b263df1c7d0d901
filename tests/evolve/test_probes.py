"""Behavioural hashes: equal for rules that do the same, whatever else is in the batch; different for others."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from optim.trajectories import needs_native
from rules.random_rules import GENOMES, Genome, as_text

from thalweg import Rule
from thalweg.evolve.probes import Probe, Stream, behaviours, probe_of, recorded_stream, synthetic_stream
from thalweg.rules.gallery import GALLERY
from thalweg.tasks.bundled import digits

pytestmark = needs_native

fuzz = settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def fresh(seed: int) -> Probe:
    generator = torch.Generator().manual_seed(seed)
    return Probe(synthetic_stream(generator), synthetic_stream(generator))


def rule(text: str, **hyperparameters) -> Rule:
    return Rule("probed", text, **hyperparameters)


def smooth(genome: Genome, names: list[str], depth: int = 3) -> str:
    """An expression in which no rounding decides anything."""
    choice = genome.below(6) if depth else genome.below(3)
    if choice < 2:
        return genome.pick(names)
    if choice == 2:
        return genome.pick(("0.5", "0.25", "2", "1.5"))
    a, b = (smooth(genome, names, depth - 1) for _ in range(2))
    return f"tanh({a})" if choice == 5 else f"({a} {genome.pick('+-*')} {b})"


def program(genome: Genome) -> list[tuple[str, str]]:
    return [("m", f"0.9*m + {smooth(genome, ['m', 'g'])}"), ("w", f"w - 0.1*{smooth(genome, ['m', 'g', 'w'])}")]


@fuzz
@given(GENOMES)
def test_equal_canonical_forms_have_equal_keys_on_fresh_probes(genome):
    """The text, and what the canonical form makes of it."""
    first = rule(as_text(program(genome)), state="m")
    text = [line for line in first.canonical().splitlines() if not line.startswith("#")]
    names = sorted({line.split(" = ")[0] for line in text} & {"s1"})
    second = rule("\n".join(text), state=names or None)
    assert second.canonical() == first.canonical()
    one, other = fresh(len(text)).keys([first, second])
    assert one == other


@pytest.mark.parametrize(
    ("text", "rewritten"),
    [
        ("m = 0.9*m + g\nw = w - 0.1*(m + g)", "v = g + v*0.9\nw = w - (g + v)*0.1"),
        ("m = 0.9*m + g\nw = w - 0.1*m", "m = 0.9*m - (-g)\nw = w + (-0.1)*m"),
        ("m = 0.9*m + g\nw = w - 0.1*m", "m = (1 - 0.1)*m + 3*g - 2*g\nw = w - 0.5*0.2*m"),
        ("w = w - 0.1*g", "m = m + g\ndead = exp(m)\nw = w - 0.1*g"),
        ("w = w - 0.1*g", "w = w - 0.1*(g + t) + 0.1*t"),
    ],
)
def test_rewriting_hits(text, rewritten):
    for seed in range(3):
        one, other = fresh(seed).keys([rule(text), rule(rewritten, state="m" if "dead" in rewritten else None)])
        assert one == other


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("m = 0.9*m + g\nw = w - 0.1*m", "m = 0.901*m + g\nw = w - 0.1*m"),
        ("m = 0.9*m + g\nw = w - 0.1*m", "m = 0.9*m + g\nw = w - 0.1001*m"),
        ("w = w - 0.1*g", "w = w - 0.1*g - 1e-5"),
        ("w = w - 0.1*g", "w = w - 0.1*g*(1 + 0.001*t)"),
        ("w = w - 0.1*sign(g)", "w = w - 0.1*g/(abs(g) + 1e-6)"),
        ("w = w - 0.1*sign(g)", "w = w - 0.1*where(g < 0, -1, 1)"),  # apart only where the gradient is 0
        ("w = w - 0.1*g", "w = w - 0.1*g*safe_div(norm(g), norm(w))"),
    ],
)
def test_a_changed_rule_misses(text, changed):
    for seed in range(3):
        one, other = fresh(seed).keys([rule(text), rule(changed)])
        assert one[0] != other[0]
        assert one[1] != other[1]


def test_states_that_read_what_was_just_written_are_told_from_those_that_read_it_before():
    """In the grammar of Adaptive AutoLR y reads the new x. A key made by substituting texts loses an x within y."""
    texts = [
        "x = x - 0.5*g\ny = y - {inner}*g\nw = w - 0.1*(y + x)",
        "old = x\nx = x - 0.5*g\ny = y - {old}*g\nw = w - 0.1*(y + x)",
    ]
    new = rule(texts[0].format(inner="x"), state="x y")
    before = rule(texts[1].format(old="old"), state="x y")
    scaled = rule(texts[0].format(inner="2*x"), state="x y")
    keys = fresh(0).keys([new, before, scaled])
    assert len(set(keys)) == 3


def test_gallery_rules_have_keys_of_their_own_but_for_those_that_are_one():
    rules = [entry.rule for entry in GALLERY.values()]
    keys = fresh(0).keys(rules)
    alike = [one.name for one, key in zip(rules, keys, strict=True) if keys.count(key) > 1]
    assert set(alike) == {"heavy_ball", "dampened_momentum", "ema_momentum"}


def test_a_key_depends_on_no_other_rule_of_the_batch():
    probe = fresh(0)
    rules = [entry.rule for entry in GALLERY.values()]
    alone = [probe.keys([one])[0] for one in rules]
    bad = rule("w = w + log(-1 - square(g))")
    assert probe.keys([bad, *rules, bad])[1:-1] == alone
    assert probe.keys(rules[::-1]) == alone[::-1]
    assert probe.keys([]) == []


def test_the_same_seed_gives_the_same_probe_and_another_seed_another():
    rules = [entry.rule for entry in GALLERY.values()][:5]
    assert fresh(0).keys(rules) == fresh(0).keys(rules)
    for one, other in zip(fresh(0).keys(rules), fresh(1).keys(rules), strict=True):
        assert one[0] != other[0]


def test_what_only_seems_to_read_the_gradient_is_blind():
    texts = {
        "w = w - 0.1*g": False,
        "w = w - 0.1*sign(g)": False,
        "w = w - 0.1*square(g)": False,
        "w = w - 0.1*g*w*mean(abs(g))": False,
        "w = w - where(t < 5, 0, g)": False,
        "w = w - 0.1*(g - g)": True,
        "w = w - 0.1*safe_div(g, g + 1 - 1)*0 - 0.01": True,
        "x = x*g\nw = w - 0.1*x - 0.01*w": True,
        "w = w - log(-1 - square(g))": True,  # never a number
        "w = w + 0*g": True,
    }
    found = fresh(0).blind([rule(text) for text in texts])
    assert dict(zip(texts, found.tolist(), strict=True)) == texts


def test_a_step_lost_in_the_rounding_of_its_weight_counts_no_digits():
    far = Stream(torch.full((4,), 1e8), torch.randn(8, 4, generator=torch.Generator().manual_seed(0)))
    one, other = behaviours([rule("w = w - 1e-12*g"), rule("w = w - 2e-12*g")], far)
    assert one == other


def test_steps_of_every_size_and_of_no_number_are_told_apart():
    """Constant steps, from weights of 0."""
    still = Stream(torch.zeros(2), torch.ones(3, 2))
    steps = ["1e-6", "1.0001e-6", "-1e-6", "1e-3", "0.9999e-3", "1", "10", "1e300", "1e999", "(-1e999)", "0"]
    steps += ["(1e999 - 1e999)"]
    assert len(set(behaviours([rule(f"w = w*0 + {step}*t") for step in steps], still))) == len(steps)


# Recorded streams


def test_a_recorded_stream_is_gradient_descent_on_some_of_the_weights():
    """Of a linear model under a squared loss the gradients are known."""
    x = torch.randn(6, 10, 3, generator=torch.Generator().manual_seed(0))
    y = torch.randn(6, 10, 1, generator=torch.Generator().manual_seed(1))
    network = torch.nn.Linear(3, 1, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[1.0, -2.0, 0.5]]))
    stream = recorded_stream(
        network, torch.nn.functional.mse_loss, zip(x, y, strict=True), torch.Generator().manual_seed(0), lr=0.2, lanes=3
    )
    w = np.array([1.0, -2.0, 0.5])
    order = [int(np.flatnonzero(w == value)[0]) for value in stream.weights.numpy()]
    for inputs, targets, found in zip(x.double().numpy(), y.double().numpy(), stream.gradients.numpy(), strict=True):
        g = 2 * inputs.T @ (inputs @ w - targets[:, 0]) / 10
        np.testing.assert_allclose(found, g[order], rtol=1e-5)
        w -= 0.2 * g
    assert network.weight.tolist() == [[1.0, -2.0, 0.5]]


def test_recording_refuses_more_lanes_than_weights_with_a_gradient():
    network = torch.nn.Linear(4, 1)
    batches = [(torch.zeros(2, 4), torch.ones(2, 1))]  # only the bias has one
    with pytest.raises(ValueError, match="lanes must be at most the weights with a gradient, 1, got 2"):
        recorded_stream(network, torch.nn.functional.mse_loss, batches, torch.Generator(), lanes=2)


def test_the_probe_of_a_seed_has_a_recorded_stream_and_tells_gallery_rules_apart():
    probe = probe_of(digits(), 3)
    assert (probe.second.gradients.abs() > 0).any(0).all()
    rules = [entry.rule for entry in GALLERY.values()]
    for stream in (probe.first, probe.second):
        hashes = behaviours(rules, stream)
        assert len(set(hashes)) == len(rules) - 2  # three forms of momentum are one
    assert not probe.blind(rules).any()


@pytest.mark.parametrize("shapes", [((3,), (3,)), ((3,), (2, 4)), ((0,), (2, 0)), ((3,), (0, 3))])
def test_a_stream_of_shapes_that_do_not_fit_is_refused(shapes):
    with pytest.raises(ValueError, match="a stream needs weights"):
        Stream(*(torch.zeros(shape) for shape in shapes))

"""Where steps are easily wrong in silence: constants, values that are other values, range, dtypes, layouts, signs."""

from __future__ import annotations

import pytest
import torch
from optim.trajectories import NATIVE, RULES, gradients, needs_native, parameters, step

from thalweg import Rule
from thalweg.optim import RuleOptimizer, StackedOptimizer, functional

STACKED_NATIVE = pytest.param("stacked native", marks=needs_native)

# Scalars that follow from the numbers of the text alone, and states that are other values.
ODD = {
    "a_root_of_a_constant": Rule("odd", "x = 2*2\nw = w - lr*sqrt(x)*g", lr=0.1),
    "a_constant_condition": Rule("odd", "w = w - lr*where(2 < 1, g, w)", lr=0.1),
    "a_state_set_to_a_constant": Rule(
        "odd", "m = b*m + g\nw = w - lr*m*(c + s)\ns = 1.0", state="m s", lr=0.1, b=0.9, c=1.0
    ),
    "a_constant_over_nothing": Rule("odd", "y = 0.0\nx = y\nw = w - lr*g*(y/y + x)", lr=0.1),
    "the_gradient_as_a_state": Rule("odd", "d = g - before\nbefore = g\nw = w - lr*(g + d)", state="before", lr=0.1),
    "the_weight_as_a_state": Rule("odd", "old = x\nx = w\nw = w - lr*(g + old)", state="x", lr=0.1),
    "the_new_weight_read": Rule("odd", "w = w - lr*(g + m)\nm = 0.9*m + w*norm(w)", state="m", lr=0.1),
    "a_scalar_over_a_tensor": Rule("odd", "w = w - lr*(lr/(1 + square(g)) + 2**g)", lr=0.1),
    "nested_conditions": Rule(
        "odd", "w = w - lr*where(g > 0, where(w > g, g, minimum(w, lr)), where(t < 2, maximum(g, lr), -g))", lr=0.1
    ),
}


def stepped(rule: Rule, backend: str, start: torch.Tensor, grads: list[torch.Tensor]) -> torch.Tensor:
    """The weights after steps by any backend; of stacked ones the second of two members."""
    if backend in ("plain", "foreach", "native"):
        p = torch.nn.Parameter(start.clone())
        optimizer = RuleOptimizer([p], rule, backend=backend)
        for g in grads:
            step(optimizer, [p], [g.clone()])
        return p.detach()
    params = {"w": torch.stack([start, start])}
    optimizer = StackedOptimizer(params, rule, backend=backend.removeprefix("stacked "))
    for g in grads:
        optimizer.step({"w": torch.stack([-g, g])})
    return params["w"][1]


@pytest.mark.parametrize(
    "backend", ["foreach", NATIVE, "stacked torch", pytest.param("stacked native", marks=needs_native)]
)
@pytest.mark.parametrize("rule", ODD.values(), ids=ODD)
def test_every_step_of_an_odd_rule_is_the_plain_one(rule, backend):
    (start,) = parameters()[:1]
    grads = [row[0] for row in gradients(parameters()[:1], 4)]
    expected = stepped(rule, "plain", start.detach(), grads)
    found = stepped(rule, backend, start.detach(), grads)
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-13, equal_nan=True)


@pytest.mark.parametrize("backend", ["plain", "foreach", NATIVE])
def test_two_factors_each_harmless_beside_its_tensor_are_not_taken_together(backend):
    """In float32 g*g is nothing here, and c*c infinite."""
    rule = Rule("far", "w = w - lr*tanh((c*g)*(c*g))", lr=1.0, c=1e20)
    found = stepped(rule, backend, torch.ones(3), [torch.full((3,), 1e-20)])
    torch.testing.assert_close(found, torch.full((3,), 1 - torch.tanh(torch.tensor(1.0)).item()), rtol=1e-5, atol=0)


@pytest.mark.parametrize("name", ["adam", "gravity", "own"])
@pytest.mark.parametrize("backend", [None, "foreach"])
def test_a_gradient_of_another_dtype_is_cast_to_that_of_the_weights(name, backend):
    found = []
    for chosen in (backend, "plain"):
        p = torch.nn.Parameter(torch.linspace(-1, 1, 7))
        p.grad_dtype = None
        optimizer = RuleOptimizer([p], RULES[name], backend=chosen)
        for _ in range(3):
            step(optimizer, [p], [torch.linspace(0.1, 0.7, 7).bfloat16()])
        found.append(p.detach())
    torch.testing.assert_close(*found, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("backend", [None, "foreach", "plain"])
def test_compensation_stays_with_its_weights_when_their_layout_changes(backend):
    """SGD has no state whose strides would tell."""
    start = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0)).bfloat16()
    p, lr = torch.nn.Parameter(start.clone()), 1e-4
    optimizer = RuleOptimizer([p], RULES["sgd"], lr=lr, rounding="kahan", backend=backend)
    for k in range(100):
        if k == 1:
            p.data = p.data.contiguous(memory_format=torch.channels_last)
        step(optimizer, [p], [torch.ones_like(p.detach())])
    found = p.detach().float() + optimizer.state[p]["_compensation"].float()
    assert (found - (start.float() - 100 * lr)).abs().max() < 2e-3


def test_a_parameter_whose_conjugation_is_put_off_is_refused():
    p = torch.nn.Parameter(torch.ones(2, dtype=torch.cfloat).conj())
    with pytest.raises(ValueError, match="conjugation must not be put off"):
        RuleOptimizer([p], RULES["sgd"])


@pytest.mark.parametrize("name", ["adam", "gravity"])
def test_a_parameter_whose_sign_is_put_off_is_stepped_and_the_plan_says_how(name):
    value = torch.complex(torch.zeros(3), torch.tensor([1.0, -2.0, 3.0]))
    p, q = torch.nn.Parameter(value.clone().conj().imag), torch.nn.Parameter(-value.imag.clone())
    assert p.is_neg()
    optimizer, reference = (RuleOptimizer([each], RULES[name]) for each in (p, q))
    for optimizer_, each in ((optimizer, p), (reference, q)):
        step(optimizer_, [each], [torch.ones(3)])
    torch.testing.assert_close(p.detach().resolve_neg(), q.detach())
    with pytest.raises(RuntimeError, match="backend='foreach' was asked for, but the parameter has its sign put off"):
        step(RuleOptimizer([p], RULES[name], backend="foreach"), [p], [torch.ones(3)])


@pytest.mark.parametrize("rounding", ["stochastic", "kahan"])
def test_a_complex_parameter_of_half_precision_is_rounded_as_its_parts_are(rounding):
    random = torch.Generator().manual_seed(0)
    parts = torch.randn(500, 2, generator=random).half()
    whole = torch.nn.Parameter(torch.view_as_complex(parts.clone()))
    real = torch.nn.Parameter(parts.clone())
    optimizers = [RuleOptimizer([each], RULES["sgd"], lr=1e-4, rounding=rounding) for each in (whole, real)]
    for _ in range(5):
        g = torch.randn(500, 2, generator=random).half()
        step(optimizers[0], [whole], [torch.view_as_complex(g)])
        step(optimizers[1], [real], [g])
    assert torch.equal(torch.view_as_real(whole.detach()), real.detach())
    assert not torch.equal(real.detach(), parts)


# Functional


def test_an_unknown_hyperparameter_of_a_pure_step_is_refused():
    """`beta1` is what the text reads; the hyperparameter is `betas`."""
    pure, params = functional(RULES["adam"]), {"w": torch.ones(3)}
    state = pure.init(params)
    with pytest.raises(TypeError, match=r"adam has no hyperparameter 'beta1'; it has lr, .*betas"):
        pure.update(params, params, state, {"beta1": 0.5})
    with pytest.raises(TypeError, match="adam has no hyperparameter 'lrr'"):
        pure.init(params, {"lrr": 0.5})
    with pytest.raises(ValueError, match="params must hold at least one tensor"):
        pure.init({})


def test_a_pure_step_is_one_graph_to_a_compiler():
    pure, params, grads = functional(RULES["adamw"]), {"w": torch.ones(3)}, {"w": torch.full((3,), 0.5)}
    state = pure.init(params)
    compiled = torch.compile(pure.update, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(params, grads, state), pure.update(params, grads, state))


def test_a_state_that_is_the_gradient_is_not_the_gradients_memory():
    pure, params, grads = functional(ODD["the_gradient_as_a_state"]), {"w": torch.ones(3)}, {"w": torch.ones(3)}
    _, state = pure.update(params, grads, pure.init(params))
    grads["w"].zero_()
    assert state["before"]["w"].tolist() == [1.0] * 3


# The driver


def test_a_misspelt_rounding_in_a_group_is_named_at_the_next_step():
    params = parameters(torch.bfloat16)
    optimizer = RuleOptimizer(params, RULES["adam"])
    optimizer.param_groups[0]["rounding"] = "Stochastic"
    with pytest.raises(ValueError, match="rounding must be one of 'nearest', 'stochastic', 'kahan', got 'Stochastic'"):
        step(optimizer, params, gradients(params, 1)[0])


@pytest.mark.parametrize("rounding", ["stochastic", "kahan"])
def test_a_state_dict_saved_before_another_rounding_was_first_used_loads(rounding):
    params = parameters(torch.bfloat16)
    optimizer = RuleOptimizer(params, RULES["adam"])
    optimizer.param_groups[0]["rounding"] = rounding
    optimizer.load_state_dict(optimizer.state_dict())
    step(optimizer, params, gradients(params, 1)[0])
    assert any(name.startswith("_") for name in optimizer.state[params[0]])


def test_states_that_were_cleared_begin_anew():
    ours, other = parameters(), parameters()
    optimizer, fresh = RuleOptimizer(ours, RULES["adam"]), RuleOptimizer(other, RULES["adam"])
    for p in ours:
        optimizer.state[p].clear()
    (row,) = gradients(ours, 1)
    step(optimizer, ours, row)
    step(fresh, other, row)
    assert all(torch.equal(p, q) for p, q in zip(ours, other, strict=True))


@pytest.mark.parametrize("key", ["fullgraph", "dynamic"])
def test_what_compile_fixes_is_not_an_option(key):
    with pytest.raises(ValueError, match=f"{key} is not compile.*to choose, got True"):
        RuleOptimizer(parameters(), RULES["adam"]).compile(**{key: True})


def test_compile_beside_a_backend_by_name_is_refused():
    with pytest.raises(ValueError, match=r"compile.* got backend='foreach'"):
        RuleOptimizer(parameters(), RULES["adam"], backend="foreach").compile()


def test_the_same_tensor_under_two_names_is_refused_by_a_stack():
    w = torch.ones(2, 3)
    with pytest.raises(ValueError, match="params must be different tensors, got one as 'a'"):
        StackedOptimizer({"a": w, "b": w}, RULES["sgd"])

"""The gallery's optimizers as classes, with signatures that an editor can show.

Each takes, beside what its signature names, the options of `RuleOptimizer`: maximize, decay, backend, rounding,
generator, and torch's foreach and fused. Its equations and its source are at the end of its help.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, Unpack

from torch.optim.optimizer import ParamsT

from thalweg.optim.optimizer import Options, RuleOptimizer
from thalweg.rules import Rule
from thalweg.rules.gallery import GALLERY

Class = TypeVar("Class", bound=type[RuleOptimizer])


def _of(*names: str) -> Callable[[Class], Class]:
    """Ends a class's help with the equations and sources of the rules that it drives."""

    def documented(cls: Class) -> Class:
        parts = [cls.__doc__ or ""]
        for name in names:
            entry = GALLERY[name]
            equations = "\n".join(f"        {line}" for line in entry.rule.text.splitlines())
            parts.append(f"    {name} ({entry.title})::\n\n{equations}\n\n    Source: {entry.source}\n")
        cls.__doc__ = "\n\n".join(part.rstrip() for part in parts) + "\n"
        return cls

    return documented


def _rule(name: str) -> Rule:
    return GALLERY[name].rule


@_of("sgd", "heavy_ball", "dampened_momentum", "nesterov")
class SGD(RuleOptimizer):
    """Gradient descent, with momentum where `momentum` is not 0, as `torch.optim.SGD`.

    Raises ValueError where Nesterov's momentum is asked for with dampening or without momentum.
    """

    chooses_by = ("momentum", "dampening", "nesterov")

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        **options: Unpack[Options],
    ) -> None:
        if nesterov and (momentum == 0 or dampening != 0):
            raise ValueError(f"nesterov needs momentum > 0 and dampening 0, got {momentum!r} and {dampening!r}")
        if momentum == 0:
            super().__init__(params, _rule("sgd"), lr=lr, weight_decay=weight_decay, **options)
        elif dampening == 0:
            rule = _rule("nesterov" if nesterov else "heavy_ball")
            super().__init__(params, rule, lr=lr, momentum=momentum, weight_decay=weight_decay, **options)
        else:
            super().__init__(
                params, _rule("dampened_momentum"),
                lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, **options,
            )  # fmt: skip


@_of("ema_momentum")
class EMAMomentum(RuleOptimizer):
    """Momentum as an exponential moving average of gradients, the survey's form."""

    def __init__(
        self,
        params: ParamsT,
        lr: float = 0.01,
        beta: float = 0.9,
        weight_decay: float = 0.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(params, _rule("ema_momentum"), lr=lr, beta=beta, weight_decay=weight_decay, **options)


@_of("adagrad")
class Adagrad(RuleOptimizer):
    """Steps divided by the root of all squared gradients so far, as `torch.optim.Adagrad`."""

    def __init__(
        self,
        params: ParamsT,
        lr: float = 0.01,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params, _rule("adagrad"), lr=lr, lr_decay=lr_decay, weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value, eps=eps, **options,
        )  # fmt: skip


@_of("adadelta")
class Adadelta(RuleOptimizer):
    """Steps in units of the weight, as `torch.optim.Adadelta`."""

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(params, _rule("adadelta"), lr=lr, rho=rho, eps=eps, weight_decay=weight_decay, **options)


@_of("rmsprop", "rmsprop_centered", "rmsprop_momentum", "rmsprop_centered_momentum")
class RMSprop(RuleOptimizer):
    """Steps divided by the root of a running average of squares, as `torch.optim.RMSprop`; the flags pick the text."""

    chooses_by = ("momentum", "centered")

    def __init__(
        self,
        params: ParamsT,
        lr: float = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        **options: Unpack[Options],
    ) -> None:
        name = "rmsprop" + "_centered" * centered + "_momentum" * (momentum != 0)
        given = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay}
        if momentum != 0:
            given["momentum"] = momentum
        super().__init__(params, _rule(name), **options, **given)


@_of("adam", "amsgrad")
class Adam(RuleOptimizer):
    """Adam, with coupled weight decay; `amsgrad` for the divisor that never shrinks."""

    chooses_by = ("amsgrad",)

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        **options: Unpack[Options],
    ) -> None:
        rule = _rule("amsgrad" if amsgrad else "adam")
        super().__init__(params, rule, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, **options)


@_of("adamw")
class AdamW(RuleOptimizer):
    """Adam with decoupled weight decay, 0.01 by default."""

    chooses_by = ("amsgrad",)

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        amsgrad: bool = False,
        **options: Unpack[Options],
    ) -> None:
        rule = _rule("amsgrad").replace(decay="decoupled") if amsgrad else _rule("adamw")
        super().__init__(params, rule, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, **options)


@_of("adamax")
class Adamax(RuleOptimizer):
    """Adam in the infinity norm, as `torch.optim.Adamax`."""

    def __init__(
        self,
        params: ParamsT,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(params, _rule("adamax"), lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, **options)


@_of("nadam")
class NAdam(RuleOptimizer):
    """Adam with Nesterov's momentum, as `torch.optim.NAdam`."""

    def __init__(
        self,
        params: ParamsT,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params, _rule("nadam"), lr=lr, betas=betas, eps=eps, weight_decay=weight_decay,
            momentum_decay=momentum_decay, **options,
        )  # fmt: skip


@_of("radam")
class RAdam(RuleOptimizer):
    """Adam that waits until the variance of its divisor is tractable, as `torch.optim.RAdam`."""

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(params, _rule("radam"), lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, **options)


@_of("rprop")
class Rprop(RuleOptimizer):
    """A step size for each weight, grown while its gradient keeps its sign; for whole batches."""

    def __init__(
        self,
        params: ParamsT,
        lr: float = 0.01,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50.0),
        **options: Unpack[Options],
    ) -> None:
        super().__init__(params, _rule("rprop"), lr=lr, etas=etas, step_sizes=step_sizes, **options)


@_of("adabelief")
class AdaBelief(RuleOptimizer):
    """Adam divided by the spread of the gradient around its average (Algorithm 2 of the paper)."""

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(params, _rule("adabelief"), lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, **options)


@_of("yogi")
class Yogi(RuleOptimizer):
    """Adam whose divisor changes by additions of bounded size; the paper's form, without bias correction."""

    def __init__(
        self,
        params: ParamsT,
        lr: float = 0.01,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-3,
        weight_decay: float = 0.0,
        initial_accumulator: float = 1e-6,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            params, _rule("yogi"), lr=lr, betas=betas, eps=eps, weight_decay=weight_decay,
            initial_accumulator=initial_accumulator, **options,
        )  # fmt: skip


@_of("lion")
class Lion(RuleOptimizer):
    """The sign of an interpolated momentum, with decoupled weight decay."""

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(params, _rule("lion"), lr=lr, betas=betas, weight_decay=weight_decay, **options)


@_of("signum")
class Signum(RuleOptimizer):
    """The sign of momentum."""

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-4,
        beta: float = 0.9,
        weight_decay: float = 0.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(params, _rule("signum"), lr=lr, beta=beta, weight_decay=weight_decay, **options)


@_of("sign")
class Sign(RuleOptimizer):
    """The sign of the gradient, as AutoLR evolved it: signSGD."""

    def __init__(
        self, params: ParamsT, lr: float = 9e-4, weight_decay: float = 0.0, **options: Unpack[Options]
    ) -> None:
        super().__init__(params, _rule("sign"), lr=lr, weight_decay=weight_decay, **options)


@_of("gravity")
class Gravity(RuleOptimizer):
    """Gravity: momentum of gradients that are damped where they are large, from a random start.

    `v` begins as normal noise of deviation alpha / lr (0 where lr is 0), with the lr given here, not a scheduler's.
    The noise moves every weight, bias and norm scale by about 1.9 alpha in the first thirty steps, whatever the
    gradient. That is more than the initial weights of large layers, and it spoils pretrained ones: **to fine-tune,
    pass alpha=0**::

        optimizer = Gravity(model.parameters(), lr=0.1, alpha=0)

    `first_step`: 0 counts steps as the published results and equation 28 do (beta-hat begins at 1/2), 1 as the
    paper's Algorithm 1 does (at 0.633 for beta 0.9). Where gradients are small, below about 0.3, Gravity is SGD with
    EMA momentum plus its noise: race it against the rules `gravity_ema` and `gravity_ema_noise`.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 0.1,
        alpha: float = 0.01,
        beta: float = 0.9,
        weight_decay: float = 0.0,
        *,
        first_step: int = 0,
        **options: Unpack[Options],
    ) -> None:
        rule = _rule("gravity").replace(first_step=first_step)
        super().__init__(params, rule, lr=lr, alpha=alpha, beta=beta, weight_decay=weight_decay, **options)


@_of("ades")
class ADES(RuleOptimizer):
    """ADES in the form that was evolved and benchmarked; the paper's printed equation 8 is the rule `ades_eq8`.

    Its quadratic terms are negligible where steps are small: race it against the rule `ades_heavy_ball`, momentum with
    the same constants. `lr` scales the step; the published method has none, which is lr 1.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1.0,
        betas: tuple[float, float] = (0.9107829, 0.999061),
        weight_decay: float = 0.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(params, _rule("ades"), lr=lr, betas=betas, weight_decay=weight_decay, **options)

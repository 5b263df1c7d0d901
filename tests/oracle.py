"""NumPy transcriptions of published optimizers, from the papers' own listings.

Written without sight of the rules they check. Every oracle has one shape:
`oracle(w0, gradients, **hyperparameters) -> (weights, states)`. `w0` is the weight tensor before the first step and
`gradients[k]` the gradient of step k, fixed in advance. `weights[k]` is the weight after step k, `states` the
optimizer's memory after the last step, by its name in the paper. All in float64; each loop follows its source line by
line, in the source's own arithmetic, with no attempt at speed. A 0-d weight comes back as a NumPy scalar.

Defaults are the published ones where there are any. `lr` scales the step even where a paper has none (ADES,
published as lr = 1).
"""

import numpy as np

Trajectory = tuple[list[np.ndarray], dict[str, np.ndarray]]

# Gravity divides by max|G|, which may be 0, and equation 8 diverges: both are IEEE arithmetic, not errors.
ieee = np.errstate(divide="ignore", over="ignore", invalid="ignore")


def _float64(w0, gradients):
    return np.asarray(w0, dtype=np.float64), [np.asarray(g, dtype=np.float64) for g in gradients]


# Gravity and its ablation


@ieee
def gravity(w0, gradients, v0=0.0, lr=0.1, beta=0.9, first_step=0) -> Trajectory:
    """Gravity (Bahrami and Pouriyan Zadeh 2021, arXiv:2101.09192, Algorithm 1; equations 20 to 23 and 26).

    `v0` is the paper's start noise, already drawn: N(0, (alpha / lr)^2), equation 27. `first_step` is t in equation 26
    at the first update: 0 as in equation 28, table 2 and the Keras code of the published results; 1 as in Algorithm 1,
    which increments t before using it. max|G| is over the whole tensor.
    """
    w, gradients = _float64(w0, gradients)
    v = np.zeros_like(w) + v0
    weights = []
    for t, g in enumerate(gradients, start=first_step):
        m = 1.0 / np.max(np.abs(g), initial=0.0)  # eq. 20; inf when every gradient is 0, and then zeta is 0
        zeta = g / (1.0 + (g / m) ** 2)  # eq. 21
        beta_hat = (beta * t + 1.0) / (t + 2.0)  # eq. 26
        v = beta_hat * v + (1.0 - beta_hat) * zeta  # eq. 22
        w = w - lr * v  # eq. 23
        weights.append(w)
    return weights, {"v": v}


def gravity_ema(w0, gradients, v0=0.0, lr=0.1, beta=0.9, first_step=0) -> Trajectory:
    """Gravity without its non-linearity: equations 22, 23 and 26 with the raw gradient in place of zeta.

    The ablation that Gravity reduces to for max|G| -> 0; with `v0` drawn it keeps the start noise, with 0 it does not.
    """
    w, gradients = _float64(w0, gradients)
    v = np.zeros_like(w) + v0
    weights = []
    for t, g in enumerate(gradients, start=first_step):
        beta_hat = (beta * t + 1.0) / (t + 2.0)
        v = beta_hat * v + (1.0 - beta_hat) * g
        w = w - lr * v
        weights.append(w)
    return weights, {"v": v}


# ADES and its ablation


@ieee
def ades(w0, gradients, lr=1.0, beta1=0.9107829, beta2=0.999061) -> Trajectory:
    """ADES as evolved and benchmarked (Carvalho et al. 2022; the form of the authors' code, spec/evolve.md section 4).

    y <- y - (1 - beta1) (y + (y + beta2)(y + g)), from y = 0. The paper prints another equation: `ades_eq8`.
    """
    w, gradients = _float64(w0, gradients)
    y = np.zeros_like(w)
    weights = []
    for g in gradients:
        y = y - (1.0 - beta1) * (y + (y + beta2) * (y + g))
        w = w + lr * y
        weights.append(w)
    return weights, {"y": y}


@ieee
def ades_eq8(w0, gradients, lr=1.0, beta1=0.08922, beta2=0.0891) -> Trajectory:
    """Equation 8 of the ADES paper as printed, with its printed constants. It diverges; kept for reproduction only."""
    w, gradients = _float64(w0, gradients)
    y = np.zeros_like(w)
    weights = []
    for g in gradients:
        y = y - (beta1 * y**2 + beta2 * (y * g) + beta2 * g)
        w = w + lr * y
        weights.append(w)
    return weights, {"y": y}


def ades_heavy_ball(w0, gradients, lr=1.0, beta1=0.9107829, beta2=0.999061) -> Trajectory:
    """Heavy ball (Polyak 1964) with the linear part of ADES: y <- mu y - eta g (spec/evolve.md section 4).

    With a = 1 - beta1: mu = 1 - a (1 + beta2), eta = a beta2. What is left out is -a y^2 - a y g.
    """
    w, gradients = _float64(w0, gradients)
    a = 1.0 - beta1
    mu = 1.0 - a * (1.0 + beta2)
    eta = a * beta2
    y = np.zeros_like(w)
    weights = []
    for g in gradients:
        y = mu * y - eta * g
        w = w + lr * y
        weights.append(w)
    return weights, {"y": y}


# Signs


def sign(w0, gradients, lr=0.0009) -> Trajectory:
    """Sign (Carvalho et al. 2022, equation 7), which is signSGD (Bernstein et al. 2018, Algorithm 1); sign(0) = 0."""
    w, gradients = _float64(w0, gradients)
    weights = []
    for g in gradients:
        w = w - lr * np.sign(g)
        weights.append(w)
    return weights, {}


def signum(w0, gradients, lr=1e-4, beta=0.9) -> Trajectory:
    """Signum (Bernstein et al. 2018, arXiv:1802.04434, Algorithm 2): the sign of an EMA of gradients, m_0 = 0."""
    w, gradients = _float64(w0, gradients)
    m = np.zeros_like(w)
    weights = []
    for g in gradients:
        m = beta * m + (1.0 - beta) * g
        w = w - lr * np.sign(m)
        weights.append(w)
    return weights, {"m": m}


def lion(w0, gradients, lr=1e-4, beta1=0.9, beta2=0.99, weight_decay=0.0) -> Trajectory:
    """Lion (Chen et al. 2023, arXiv:2302.06675, Algorithm 2), with its decoupled weight decay lambda.

    The step is taken along the interpolation with beta1, the memory is kept with beta2; decay reads the old weight.
    """
    w, gradients = _float64(w0, gradients)
    m = np.zeros_like(w)
    weights = []
    for g in gradients:
        c = beta1 * m + (1.0 - beta1) * g
        w = w - lr * (np.sign(c) + weight_decay * w)
        m = beta2 * m + (1.0 - beta2) * g
        weights.append(w)
    return weights, {"m": m}


# Adaptive


def yogi(
    w0,
    gradients,
    lr=1e-2,
    beta1=0.9,
    beta2=0.999,
    eps=1e-3,
    initial_accumulator=1e-6,
    bias_correction=False,
    initial_momentum=0.0,
) -> Trajectory:
    """Yogi (Zaheer et al. 2018, NeurIPS, "Adaptive Methods for Nonconvex Optimization", Algorithm 2).

    The defaults are the paper's form: m_0 = 0 and no bias correction,
        m <- beta1 m + (1 - beta1) g
        v <- v - (1 - beta2) sign(v - g^2) g^2
        w <- w - lr m / (sqrt(v) + eps).
    The paper starts v from squared gradients averaged over a large mini-batch; the constant 1e-6 is its first author's
    later choice (tensorflow/addons pull request 1077), which fills v alone.

    `bias_correction=True` divides m by 1 - beta1^t and v, before the root, by 1 - beta2^t, t from 1, as Adam does. So
    do optax (`scale_by_yogi`) and pytorch_optimizer (`Yogi`), which also start m from the accumulator's value: for
    exact parity with them pass `initial_momentum=initial_accumulator` too. tensorflow_addons has a third form, not
    offered here: m_0 = 0, and corrected through lr, so that eps is not scaled: the step is
    lr sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + eps).
    """
    w, gradients = _float64(w0, gradients)
    m = np.zeros_like(w) + initial_momentum
    v = np.zeros_like(w) + initial_accumulator
    weights = []
    for t, g in enumerate(gradients, start=1):
        m = beta1 * m + (1.0 - beta1) * g
        v = v - (1.0 - beta2) * np.sign(v - g**2) * g**2
        if bias_correction:
            w = w - lr * (m / (1.0 - beta1**t)) / (np.sqrt(v / (1.0 - beta2**t)) + eps)
        else:
            w = w - lr * m / (np.sqrt(v) + eps)
        weights.append(w)
    return weights, {"m": m, "v": v}


def adabelief(w0, gradients, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8) -> Trajectory:
    """AdaBelief (Zhuang et al. 2020, arXiv:2010.07468, Algorithm 2), bias-corrected, without rectification.

    s <- beta2 s + (1 - beta2)(g - m)^2 + eps, with the new m. eps is part of the state, so it accumulates: the authors
    confirm this reading (juntang-zhuang/Adabelief-Optimizer issue 61). It is added once more after the root. `eps` =
    1e-8 is the default of the authors' first package (0.0.5); from 0.1.0 on it is 1e-16.
    """
    w, gradients = _float64(w0, gradients)
    m = np.zeros_like(w)
    s = np.zeros_like(w)
    weights = []
    for t, g in enumerate(gradients, start=1):
        m = beta1 * m + (1.0 - beta1) * g
        s = beta2 * s + (1.0 - beta2) * (g - m) ** 2 + eps
        m_hat = m / (1.0 - beta1**t)
        s_hat = s / (1.0 - beta2**t)
        w = w - lr * m_hat / (np.sqrt(s_hat) + eps)
        weights.append(w)
    return weights, {"m": m, "s": s}


# Momentum


def ema_momentum(w0, gradients, lr=0.1, beta=0.9) -> Trajectory:
    """Momentum as an exponential moving average (Xu, "Neural Network Optimization Techniques", section III).

    The survey's equations carry no numbers; this is the one under "Momentum-Based Methods": v_{t+1} = beta v_t +
    (1 - beta) grad J(theta_t), theta_{t+1} = theta_t - alpha v_{t+1}, from v = 0. torch's SGD with momentum = dampening
    = beta is another sequence: it starts from v = g, not from (1 - beta) g.
    """
    w, gradients = _float64(w0, gradients)
    v = np.zeros_like(w)
    weights = []
    for g in gradients:
        v = beta * v + (1.0 - beta) * g
        w = w - lr * v
        weights.append(w)
    return weights, {"v": v}

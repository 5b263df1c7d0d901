"""The gallery: every optimizer that Thalweg knows as equations, with its source and its published defaults.

To add one, add an entry here; the command line, the tests and the race find it.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from thalweg.rules.rule import Rule


@dataclass(frozen=True)
class Source:
    """Where an optimizer was published."""

    key: str
    authors: str  # as BibTeX wants them: "Kingma, Diederik P. and Ba, Jimmy"
    title: str
    year: int | None  # None where the text bears none
    venue: str
    url: str

    def __str__(self) -> str:
        when = f" ({self.year})" if self.year else ""
        return f"{self.authors}{when}. {self.title}. {self.venue}. {self.url}".rstrip()

    def bibtex(self) -> str:
        fields = {
            "author": self.authors,
            "title": f"{{{self.title}}}",
            "year": str(self.year or ""),
            "howpublished": self.venue,
            "url": self.url,
        }
        lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
        return "\n".join([f"@misc{{{self.key},", *lines, "}"])


@dataclass(frozen=True)
class Entry:
    """A rule of the gallery: what it is in a line, where it comes from, and the plain rules that it reduces to."""

    rule: Rule
    title: str
    source: Source
    ablations: tuple[str, ...] = ()
    reference: bool = False  # a published form known to be wrong, kept for reproduction alone


ROBBINS = Source(
    "robbins1951stochastic", "Robbins, Herbert and Monro, Sutton", "A Stochastic Approximation Method", 1951,
    "Annals of Mathematical Statistics 22(3)", "https://doi.org/10.1214/aoms/1177729586",
)  # fmt: skip
POLYAK = Source(
    "polyak1964some", "Polyak, Boris T.", "Some methods of speeding up the convergence of iteration methods", 1964,
    "USSR Computational Mathematics and Mathematical Physics 4(5)", "https://doi.org/10.1016/0041-5553(64)90137-5",
)  # fmt: skip
XU = Source(
    "xu_neural", "Xu, Wei",
    "Neural Network Optimization Techniques: Studying optimization techniques for training neural networks, including "
    "gradient-based methods and metaheuristic algorithms", None, "Survey, section III, Momentum-Based Methods", "",
)  # fmt: skip
SUTSKEVER = Source(
    "sutskever2013importance", "Sutskever, Ilya and Martens, James and Dahl, George and Hinton, Geoffrey",
    "On the importance of initialization and momentum in deep learning", 2013, "ICML",
    "https://proceedings.mlr.press/v28/sutskever13.html",
)  # fmt: skip
DUCHI = Source(
    "duchi2011adaptive", "Duchi, John and Hazan, Elad and Singer, Yoram",
    "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", 2011,
    "Journal of Machine Learning Research 12", "https://jmlr.org/papers/v12/duchi11a.html",
)  # fmt: skip
ZEILER = Source(
    "zeiler2012adadelta", "Zeiler, Matthew D.", "ADADELTA: An Adaptive Learning Rate Method", 2012,
    "arXiv:1212.5701", "https://arxiv.org/abs/1212.5701",
)  # fmt: skip
TIELEMAN = Source(
    "tieleman2012rmsprop", "Tieleman, Tijmen and Hinton, Geoffrey",
    "Lecture 6.5, rmsprop: Divide the gradient by a running average of its recent magnitude", 2012,
    "COURSERA: Neural Networks for Machine Learning",
    "https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf",
)  # fmt: skip
GRAVES = Source(
    "graves2013generating", "Graves, Alex", "Generating Sequences With Recurrent Neural Networks", 2013,
    "arXiv:1308.0850", "https://arxiv.org/abs/1308.0850",
)  # fmt: skip
KINGMA = Source(
    "kingma2015adam", "Kingma, Diederik P. and Ba, Jimmy", "Adam: A Method for Stochastic Optimization", 2015,
    "ICLR", "https://arxiv.org/abs/1412.6980",
)  # fmt: skip
LOSHCHILOV = Source(
    "loshchilov2019decoupled", "Loshchilov, Ilya and Hutter, Frank", "Decoupled Weight Decay Regularization", 2019,
    "ICLR", "https://arxiv.org/abs/1711.05101",
)  # fmt: skip
REDDI = Source(
    "reddi2018convergence", "Reddi, Sashank J. and Kale, Satyen and Kumar, Sanjiv",
    "On the Convergence of Adam and Beyond", 2018, "ICLR", "https://openreview.net/forum?id=ryQu7f-RZ",
)  # fmt: skip
DOZAT = Source(
    "dozat2016incorporating", "Dozat, Timothy", "Incorporating Nesterov Momentum into Adam", 2016,
    "ICLR workshop", "https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ",
)  # fmt: skip
LIU = Source(
    "liu2020variance",
    "Liu, Liyuan and Jiang, Haoming and He, Pengcheng and Chen, Weizhu and Liu, Xiaodong and Gao, Jianfeng and "
    "Han, Jiawei", "On the Variance of the Adaptive Learning Rate and Beyond", 2020, "ICLR",
    "https://arxiv.org/abs/1908.03265",
)  # fmt: skip
RIEDMILLER = Source(
    "riedmiller1993direct", "Riedmiller, Martin and Braun, Heinrich",
    "A direct adaptive method for faster backpropagation learning: the RPROP algorithm", 1993,
    "IEEE International Conference on Neural Networks", "https://doi.org/10.1109/ICNN.1993.298623",
)  # fmt: skip
ZHUANG = Source(
    "zhuang2020adabelief",
    "Zhuang, Juntang and Tang, Tommy and Ding, Yifan and Tatikonda, Sekhar and Dvornek, Nicha and Papademetris, "
    "Xenophon and Duncan, James S.",
    "AdaBelief Optimizer: Adapting Stepsizes by the Belief in Observed Gradients", 2020, "NeurIPS", "https://arxiv.org/abs/2010.07468",
)  # fmt: skip
ZAHEER = Source(
    "zaheer2018adaptive",
    "Zaheer, Manzil and Reddi, Sashank J. and Sachan, Devendra and Kale, Satyen and Kumar, Sanjiv",
    "Adaptive Methods for Nonconvex Optimization", 2018, "NeurIPS",
    "https://papers.nips.cc/paper/8186-adaptive-methods-for-nonconvex-optimization",
)  # fmt: skip
CHEN = Source(
    "chen2023symbolic",
    "Chen, Xiangning and Liang, Chen and Huang, Da and Real, Esteban and Wang, Kaiyuan and Liu, Yao and Pham, Hieu and "
    "Dong, Xuanyi and Luong, Thang and Hsieh, Cho-Jui and Lu, Yifeng and Le, Quoc V.",
    "Symbolic Discovery of Optimization Algorithms", 2023, "NeurIPS", "https://arxiv.org/abs/2302.06675",
)  # fmt: skip
BERNSTEIN = Source(
    "bernstein2018signsgd",
    "Bernstein, Jeremy and Wang, Yu-Xiang and Azizzadenesheli, Kamyar and Anandkumar, Animashree",
    "signSGD: Compressed Optimisation for Non-Convex Problems", 2018, "ICML", "https://arxiv.org/abs/1802.04434",
)  # fmt: skip
CARVALHO = Source(
    "carvalho2022evolving", "Carvalho, Pedro and Lourenço, Nuno and Machado, Penousal",
    "Evolving Adaptive Neural Network Optimizers for Image Classification", 2022, "EuroGP",
    "https://doi.org/10.1007/978-3-031-02056-8_1",
)  # fmt: skip
BAHRAMI = Source(
    "bahrami2021gravity", "Bahrami, Dariush and Pouriyan Zadeh, Sadegh",
    "Gravity Optimizer: a Kinematic Approach on Optimization in Deep Learning", 2021, "arXiv:2101.09192",
    "https://arxiv.org/abs/2101.09192",
)  # fmt: skip

# Adam's moments, shared by its relatives, and RMSprop's average of squares.
_MOMENTS = """
    m = beta1*m + (1 - beta1)*g
    v = beta2*v + (1 - beta2)*square(g)
"""
_SQUARES = "v = alpha*v + (1 - alpha)*square(g)\n"
_CENTERED = "a = alpha*a + (1 - alpha)*g\n u = g/(sqrt(v - square(a)) + eps)\n"

_ADAM = (
    _MOMENTS
    + """
    m_hat = m/(1 - beta1**t)
    v_hat = v/(1 - beta2**t)
    w = w - lr*m_hat/(sqrt(v_hat) + eps)
"""
)
_GRAVITY_MOMENTUM = """
    k = (beta*t + 1)/(t + 2)
    v = k*v + (1 - k)*z
    w = w - lr*v
"""
_NOISE = {"v": "normal(0, safe_div(alpha, lr))"}

_ENTRIES = (
    Entry(
        Rule("sgd", "w = w - lr*g", state="", lr=1e-3),
        "stochastic gradient descent",
        ROBBINS,
    ),
    Entry(
        Rule("heavy_ball", "v = momentum*v + g\n w = w - lr*v", state="v", lr=1e-3, momentum=0.9),
        "gradient descent with momentum",
        POLYAK,
    ),
    Entry(
        Rule(
            "dampened_momentum", "v = where(t <= 1, g, momentum*v + (1 - dampening)*g)\n w = w - lr*v",
            state="v", lr=1e-3, momentum=0.9, dampening=0.0,
        ),
        "momentum as torch's SGD has it, with dampening from the second step on",
        POLYAK,
    ),
    Entry(
        Rule("ema_momentum", "v = beta*v + (1 - beta)*g\n w = w - lr*v", state="v", lr=0.01, beta=0.9),
        "momentum as an exponential moving average (the survey's form)",
        XU,
    ),
    Entry(
        Rule("nesterov", "v = momentum*v + g\n w = w - lr*(g + momentum*v)", state="v", lr=1e-3, momentum=0.9),
        "Nesterov's accelerated gradient, in the form that reads gradients where they are taken",
        SUTSKEVER,
    ),
    Entry(
        Rule(
            "adagrad", "s = s + square(g)\n w = w - lr/(1 + (t - 1)*lr_decay)*g/(sqrt(s) + eps)",
            state="s", init={"s": "initial_accumulator_value"},
            lr=0.01, lr_decay=0.0, initial_accumulator_value=0.0, eps=1e-10,
        ),
        "steps divided by the root of all squares so far",
        DUCHI,
    ),
    Entry(
        Rule(
            "adadelta",
            """
            v = rho*v + (1 - rho)*square(g)
            d = sqrt(u + eps)/sqrt(v + eps)*g
            u = rho*u + (1 - rho)*square(d)
            w = w - lr*d
            """,
            state="v u", lr=1.0, rho=0.9, eps=1e-6,
        ),
        "steps in units of the weight, from running averages of squares and of steps",
        ZEILER,
    ),
    Entry(
        Rule(
            "rmsprop", _SQUARES + "w = w - lr*g/(sqrt(v) + eps)",
            state="v", lr=0.01, alpha=0.99, eps=1e-8,
        ),
        "steps divided by the root of a running average of squares",
        TIELEMAN,
    ),
    Entry(
        Rule(
            "rmsprop_centered", _SQUARES + _CENTERED + "w = w - lr*u",
            state="v a", lr=0.01, alpha=0.99, eps=1e-8,
        ),
        "RMSprop with the running variance in place of the running square",
        GRAVES,
    ),
    Entry(
        Rule(
            "rmsprop_momentum", _SQUARES + "b = momentum*b + g/(sqrt(v) + eps)\n w = w - lr*b",
            state="v b", lr=0.01, alpha=0.99, eps=1e-8, momentum=0.9,
        ),
        "RMSprop with momentum",
        GRAVES,
    ),
    Entry(
        Rule(
            "rmsprop_centered_momentum", _SQUARES + _CENTERED + "b = momentum*b + u\n w = w - lr*b",
            state="v a b", lr=0.01, alpha=0.99, eps=1e-8, momentum=0.9,
        ),
        "RMSprop, centered, with momentum",
        GRAVES,
    ),
    Entry(
        Rule("adam", _ADAM, state="m v", lr=1e-3, betas=(0.9, 0.999), eps=1e-8),
        "running averages of gradient and square, both corrected for their start at 0",
        KINGMA,
    ),
    Entry(
        Rule(
            "adamw", _ADAM, state="m v", decay="decoupled",
            lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01,
        ),
        "Adam with decoupled weight decay",
        LOSHCHILOV,
    ),
    Entry(
        Rule(
            "amsgrad",
            _MOMENTS + """
            x = maximum(x, v)
            m_hat = m/(1 - beta1**t)
            v_hat = x/(1 - beta2**t)
            w = w - lr*m_hat/(sqrt(v_hat) + eps)
            """,
            state="m v x", lr=1e-3, betas=(0.9, 0.999), eps=1e-8,
        ),
        "Adam whose divisor never shrinks",
        REDDI,
    ),
    Entry(
        Rule(
            "adamax",
            """
            m = beta1*m + (1 - beta1)*g
            u = maximum(beta2*u, abs(g) + eps)
            w = w - lr/(1 - beta1**t)*m/u
            """,
            state="m u", lr=2e-3, betas=(0.9, 0.999), eps=1e-8,
        ),
        "Adam in the infinity norm",
        KINGMA,
    ),
    Entry(
        Rule(
            "nadam",
            _MOMENTS + """
            mu = beta1*(1 - 0.5*0.96**(t*momentum_decay))
            mu_next = beta1*(1 - 0.5*0.96**((t + 1)*momentum_decay))
            p = p*mu
            d = sqrt(v/(1 - beta2**t)) + eps
            w = w - lr*(1 - mu)/(1 - p)*g/d - lr*mu_next/(1 - p*mu_next)*m/d
            """,
            state="m v p", init={"p": "1"}, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, momentum_decay=4e-3,
        ),
        "Adam with Nesterov's momentum",
        DOZAT,
    ),
    Entry(
        Rule(
            "radam",
            _MOMENTS + """
            c = 1 - beta2**t
            rho_inf = 2/(1 - beta2) - 1
            rho = rho_inf - 2*t*beta2**t/c
            r = sqrt((rho - 4)*(rho - 2)*rho_inf/((rho_inf - 4)*(rho_inf - 2)*rho))
            m_hat = m/(1 - beta1**t)
            w = w - lr*where(rho > 5, r*sqrt(c)*m_hat/(sqrt(v) + eps), m_hat)
            """,
            state="m v", lr=1e-3, betas=(0.9, 0.999), eps=1e-8,
        ),
        "Adam that waits until the variance of its divisor is tractable",
        LIU,
    ),
    Entry(
        Rule(
            "rprop",
            """
            s = sign(g*g_old)
            d_old = where(t <= 1, lr, d)
            d = minimum(maximum(d_old*where(s > 0, eta2, where(s < 0, eta1, 1)), step_size1), step_size2)
            kept = where(s < 0, 0, g)
            g_old = kept
            w = w - sign(kept)*d
            """,
            state="g_old d", lr=0.01, etas=(0.5, 1.2), step_sizes=(1e-6, 50.0),
        ),
        "a step size a weight, grown while the gradient keeps its sign; for whole batches",
        RIEDMILLER,
    ),
    Entry(
        Rule(
            "adabelief",
            """
            m = beta1*m + (1 - beta1)*g
            s = beta2*s + (1 - beta2)*square(g - m) + eps
            m_hat = m/(1 - beta1**t)
            s_hat = s/(1 - beta2**t)
            w = w - lr*m_hat/(sqrt(s_hat) + eps)
            """,
            state="m s", lr=1e-3, betas=(0.9, 0.999), eps=1e-8,
        ),
        "Adam divided by the spread of the gradient around its average",
        ZHUANG,
    ),
    Entry(
        Rule(
            "yogi",
            """
            m = beta1*m + (1 - beta1)*g
            v = v - (1 - beta2)*sign(v - square(g))*square(g)
            w = w - lr*m/(sqrt(v) + eps)
            """,
            state="m v", init={"v": "initial_accumulator"},
            lr=0.01, betas=(0.9, 0.999), eps=1e-3, initial_accumulator=1e-6,
        ),
        "Adam whose divisor changes by additions of bounded size (the paper's form: no bias correction)",
        ZAHEER,
    ),
    Entry(
        Rule(
            "lion",
            """
            c = beta1*m + (1 - beta1)*g
            w = w - lr*sign(c)
            m = beta2*m + (1 - beta2)*g
            """,
            state="m", decay="decoupled", lr=1e-4, betas=(0.9, 0.99),
        ),
        "the sign of an interpolated momentum, found by search",
        CHEN,
    ),
    Entry(
        Rule("signum", "m = beta*m + (1 - beta)*g\n w = w - lr*sign(m)", state="m", lr=1e-4, beta=0.9),
        "the sign of momentum",
        BERNSTEIN,
    ),
    Entry(
        Rule("sign", "w = w - lr*sign(g)", state="", lr=9e-4),
        "the sign of the gradient: signSGD, found again by evolution (AutoLR's Sign)",
        CARVALHO,
        ablations=("signum",),
    ),
    Entry(
        Rule(
            "gravity", "z = g/(1 + square(g*max_abs(g)))" + _GRAVITY_MOMENTUM,
            state="v", init=_NOISE, first_step=0, decay="decoupled", lr=0.1, alpha=0.01, beta=0.9,
        ),
        "momentum of gradients damped where they are large, from a random start",
        BAHRAMI,
        ablations=("gravity_ema_noise", "gravity_ema"),
    ),
    Entry(
        Rule(
            "gravity_ema_noise", _GRAVITY_MOMENTUM.replace("z", "g"),
            state="v", init=_NOISE, first_step=0, decay="decoupled", lr=0.1, alpha=0.01, beta=0.9,
        ),
        "Gravity without its damping: EMA momentum with Gravity's beta-hat and random start",
        BAHRAMI,
    ),
    Entry(
        Rule(
            "gravity_ema", _GRAVITY_MOMENTUM.replace("z", "g"),
            state="v", first_step=0, decay="decoupled", lr=0.1, beta=0.9,
        ),
        "Gravity without damping and random start: EMA momentum with Gravity's beta-hat",
        BAHRAMI,
    ),
    Entry(
        Rule(
            "gravity_std", "d = g - mean(g)\n z = g/(1 + square(g*sqrt(mean(square(d)))))" + _GRAVITY_MOMENTUM,
            state="v", init=_NOISE, first_step=0, decay="decoupled", lr=0.1, alpha=0.01, beta=0.9,
        ),
        "Gravity whose largest step is at m = 1/std(G), a choice that its authors tried",
        BAHRAMI,
        ablations=("gravity_ema_noise", "gravity_ema"),
    ),
    Entry(
        Rule(
            "gravity_range",
            """
            top = max_abs(g)
            low = top - max_abs(g - top)
            z = g/(1 + square(g*max_abs(g - low)))
            """ + _GRAVITY_MOMENTUM,
            state="v", init=_NOISE, first_step=0, decay="decoupled", lr=0.1, alpha=0.01, beta=0.9,
        ),
        "Gravity whose largest step is at m = 1/(max(G) - min(G)), a choice that its authors tried",
        BAHRAMI,
        ablations=("gravity_ema_noise", "gravity_ema"),
    ),
    Entry(
        Rule(
            "gravity_zscore",
            """
            d = g - mean(g)
            z = g/(1 + square(safe_div(d, sqrt(mean(square(d))))))
            """ + _GRAVITY_MOMENTUM,
            state="v", init=_NOISE, first_step=0, decay="decoupled", lr=0.1, alpha=0.01, beta=0.9,
        ),
        "Gravity with z-scores in place of g/m, as we read a choice that its authors tried",
        BAHRAMI,
        ablations=("gravity_ema_noise", "gravity_ema"),
    ),
    Entry(
        Rule(
            "ades", "y = y - (1 - beta1)*(y + (y + beta2)*(y + g))\n w = w + lr*y",
            state="y", lr=1.0, betas=(0.9107829, 0.999061),
        ),
        "momentum with a small quadratic term, as it was evolved and benchmarked (AutoLR's ADES)",
        CARVALHO,
        ablations=("ades_heavy_ball",),
    ),
    Entry(
        Rule(
            "ades_heavy_ball",
            """
            mu = 1 - (1 - beta1)*(1 + beta2)
            eta = (1 - beta1)*beta2
            y = mu*y - eta*g
            w = w + lr*y
            """,
            state="y", lr=1.0, betas=(0.9107829, 0.999061),
        ),
        "ADES without its quadratic terms: heavy ball with mu and eta from the same constants",
        CARVALHO,
    ),
    Entry(
        Rule(
            "ades_eq8", "y = y - (beta1*square(y) + beta2*(y*g) + beta2*g)\n w = w + lr*y",
            state="y", lr=1.0, betas=(0.08922, 0.0891),
        ),
        "ADES as the paper prints it (equation 8), which diverges; for reproduction alone",
        CARVALHO,
        reference=True,
    ),
)  # fmt: skip

GALLERY: dict[str, Entry] = {entry.rule.name: entry for entry in _ENTRIES}


def find(name: str) -> Entry:
    """The entry of that name, with hyphens or underscores. Raises ValueError with the nearest names where none is."""
    entry = GALLERY.get(name.replace("-", "_"))
    if entry is None:
        near = difflib.get_close_matches(name.replace("-", "_"), GALLERY, n=3) or list(GALLERY)
        raise ValueError(f"no rule is named {name!r}; did you mean {', '.join(near)}? `thalweg rules` lists all")
    return entry

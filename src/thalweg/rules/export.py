"""Writes a rule as a stand-alone `torch.optim.Optimizer` around the very source of its plain step."""

from __future__ import annotations

import inspect
import keyword
import math
import re
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2

from thalweg.files import write_atomically
from thalweg.rules import arithmetic, plain
from thalweg.rules.rule import Rule, split_names


def write(rule: Rule, path: Path) -> Path:
    """See `Rule.export`."""
    write_atomically(path, source(rule))
    return path


def source(rule: Rule) -> str:
    """The text of the module."""
    step, initial = plain.step_source(rule), plain.init_source(rule)
    helpers = [inspect.getsource(function).rstrip() for function in _called(step + initial)]
    template = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True).from_string(
        files("thalweg.rules").joinpath("export.py.jinja").read_text()
    )
    text = template.render(
        name=rule.name,
        version=version("thalweg"),
        class_name=class_name(rule),
        first_step=rule.first_step,
        equations=rule.text.splitlines(),
        modules=[
            module for module in ("hashlib", "math") if any(f"{module}." in part for part in (*helpers, step, initial))
        ],
        helpers=helpers,
        step=step,
        initial=initial,
        signature=", ".join(f"{key}={_literal(value)}" for key, value in rule.hyperparameters.items()),
        passed=", ".join(f'"{key}": {key}' for key in rule.hyperparameters),
        decay=f'"{rule.decay}"',
        states=repr(rule.states),
        kinds=repr(tuple(str(rule.program.kinds[state]) for state in rule.states)),
        names=repr({key: split_names(key, value) for key, value in rule.hyperparameters.items()}),
    )
    return re.sub(r"\n{4,}", "\n\n\n", text)


def class_name(rule: Rule) -> str:
    """The rule's name as a class is named: `gravity_ema` becomes GravityEma."""
    name = "".join(part.capitalize() for part in re.split(r"[^A-Za-z0-9]+", rule.name))
    return name if name[:1].isalpha() and not keyword.iskeyword(name) else f"Rule{name}"


def _called(text: str) -> list[Any]:
    """Our functions that the sources call, and those that these call, in the order of their module."""
    wanted = {"_draw_seed", "_stream", *re.findall(r"\b_\w+(?=\()", text)} & arithmetic.NAMES.keys()
    for name in sorted(wanted):
        wanted |= set(re.findall(r"\b_\w+(?=\()", inspect.getsource(arithmetic.NAMES[name]))) & arithmetic.NAMES.keys()
    return [function for name, function in arithmetic.NAMES.items() if name in wanted]


def _literal(value: float | tuple[float, ...]) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_literal, value))})"
    return repr(value) if math.isfinite(value) else f'float("{value}")'

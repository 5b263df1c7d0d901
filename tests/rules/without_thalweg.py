"""One run of an optimizer, and a script that makes such runs of exported ones where thalweg cannot be imported.

    python -I -S without_thalweg.py FOLDER SITE_PACKAGES...

FOLDER holds exported modules and `cases.pt`; `results.pt` is left there. The tests make the same runs of
`RuleOptimizer` and compare.
"""

from __future__ import annotations

import importlib.util
import io
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path += sys.argv[2:]

import torch

Settings = dict[str, Any]


def run(
    make: Callable[..., torch.optim.Optimizer],
    like: list[torch.Tensor],
    gradients: list[list[torch.Tensor | None]],
    settings: Settings,
) -> dict[str, Any]:
    """For each parameter its weights after each step, stacked, and its states after the last.

    The last parameter joins late, in a group of its own. At the step "saved_at", if that is one, a new optimizer, with
    random states of its own, goes on from the saved state of the old.
    """
    parameters = [torch.nn.Parameter(p.clone()) for p in like]
    keywords = dict(settings["keywords"])
    seed = keywords.pop("seed", None)

    def made(joined: bool, seed: int | None) -> torch.optim.Optimizer:
        generator = {} if seed is None else {"generator": torch.Generator().manual_seed(seed)}
        groups = [{"params": parameters[:3]}, {"params": parameters[3:-1], **settings["second_group"]}]
        optimizer = make(groups, **keywords, **generator)
        if joined:
            optimizer.add_param_group({"params": parameters[-1:]})
        return optimizer

    optimizer, weights = made(False, seed), []
    for k, row in enumerate(gradients):
        if k == settings["joins_at"]:
            optimizer.add_param_group({"params": parameters[-1:]})
        if k == settings["saved_at"]:
            saved = io.BytesIO()
            torch.save(optimizer.state_dict(), saved)
            saved.seek(0)
            optimizer = made(True, 12345)
            optimizer.load_state_dict(torch.load(saved, weights_only=True))
        for p, g in zip(parameters, row, strict=True):
            p.grad = None if g is None else g.clone()
        optimizer.step()
        weights.append([p.detach().clone() for p in parameters])
    states = optimizer.state_dict()["state"]
    return {
        "weights": [torch.stack(each) for each in zip(*weights, strict=True)],
        "states": {i: dict(states[i]) for i in sorted(states)},
    }


class Blocker:
    """Lets nobody import thalweg."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] == "thalweg":
            raise ImportError(f"{name} is not to be had here")


def exported_class(path: Path) -> Callable[..., torch.optim.Optimizer]:
    """The one optimizer of an exported module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (found,) = [value for value in vars(module).values() if getattr(value, "__module__", None) == path.stem
                and isinstance(value, type)]  # fmt: skip
    return found


def main(folder: Path) -> None:
    sys.meta_path.insert(0, Blocker())
    warnings.simplefilter("error")
    given = torch.load(folder / "cases.pt", weights_only=True)
    results: dict[str, Any] = {"thalweg": "imported"}
    try:
        import thalweg  # noqa: F401
    except ImportError as error:
        results["thalweg"] = str(error)
    for path in sorted(folder.glob("*.py")):
        made = exported_class(path)
        cases = given["settings"][path.stem]
        results[path.stem] = {
            name: run(made, given["parameters"], given["gradients"], settings) for name, settings in cases.items()
        }
    results["modules"] = [name for name in sys.modules if name.startswith("thalweg")]
    torch.save(results, folder / "results.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

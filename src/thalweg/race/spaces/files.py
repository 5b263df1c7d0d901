"""The search spaces as files: one a method, the same for every task, and one that all methods share."""

import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from thalweg.race.record import Value
from thalweg.race.spaces.dimensions import Dimension, dimension_from_dict
from thalweg.race.spaces.space import Space, check_space, overlapping

_FOLDER = resources.files("thalweg.race.spaces")
COMMON = "common.toml"  # searched by every method in the same way
DEFAULT = "default.toml"  # of optimizers that have no file of their own
SCALES = "scales.toml"  # of what makes gradients in place of autograd


def space_of(name: str, hyperparameters: Mapping[str, Value], file: str | Path | None = None) -> Space:
    """What is searched for a method: its own file, or the one given, with what all methods search in the same way.

    `name` is the method's, with hyphens or underscores; an optimizer without a file has that of `default.toml`.
    `hyperparameters` are all that the method has, those of schedule and regularisation included. Raises ValueError that
    names file, table and key.
    """
    own = _method_space(name, hyperparameters) if file is None else load_space(file, hyperparameters)
    return with_common(own, hyperparameters)


def with_common(own: Space, hyperparameters: Mapping[str, Value]) -> Space:
    """A method's own dimensions with those that all methods search in the same way, unless it searches them itself.

    The first of its own, the learning rate as a rule, stays the first; then come the common ones, then the rest. So
    methods that search different numbers of dimensions are tried at the same relative places of those they share.
    """
    shared = tuple(dimension for dimension in common_space(hyperparameters) if not overlapping(dimension, own))
    return own[:1] + shared + own[1:]


def load_space(path: str | Path, hyperparameters: Mapping[str, Value]) -> Space:
    """What a TOML file says is to be searched, in its order, and nothing else.

    A table is one dimension. Its heading is the hyperparameter's name, unless `name` gives that; its other keys are the
    fields of Float, Integer or Choice, whichever `kind` says. Raises ValueError that names file, table and key.
    """
    return _read(Path(path), str(path), hyperparameters)


def common_space(hyperparameters: Mapping[str, Value]) -> Space:
    """What every method searches in the same way. Raises ValueError if these hyperparameters lack it."""
    return _read(_FOLDER / COMMON, COMMON, hyperparameters)


def scales_space(names: Sequence[str], hyperparameters: Mapping[str, Value]) -> Space:
    """What is searched of these scales, which methods have that do not have their gradients from autograd."""
    return _read(_FOLDER / SCALES, SCALES, hyperparameters, names)


def _method_space(name: str, hyperparameters: Mapping[str, Value]) -> Space:
    file = name.replace("-", "_") + ".toml"
    shipped = {entry.name for entry in _FOLDER.iterdir() if entry.name.endswith(".toml")} - {COMMON, DEFAULT, SCALES}
    if file in shipped:
        return _read(_FOLDER / file, file, hyperparameters)
    if "lr" not in hyperparameters:
        raise ValueError(
            f"no search space is known for {name!r}, and it has no hyperparameter named lr to search instead: "
            "give a file that says what to search"
        )
    return _read(_FOLDER / DEFAULT, DEFAULT, hyperparameters)


def _read(
    file: Path | Traversable, shown: str, hyperparameters: Mapping[str, Value], only: Sequence[str] | None = None
) -> Space:
    """`shown` is what messages call the file; of its tables `only` those are read."""
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read the search space {shown}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{shown} is no TOML file: {error}") from error
    space: Space = ()
    for heading, table in tables.items():
        if only is not None and heading not in only:
            continue
        try:
            space += (_dimension(heading, table),)
            check_space(space, hyperparameters)
        except ValueError as error:
            raise ValueError(f"{shown}, [{heading}]: {error}") from error
    return space


def _dimension(heading: str, table: object) -> Dimension:
    if not isinstance(table, dict):
        raise ValueError(f"{heading} stands outside of any table; each hyperparameter has one, such as [lr]")
    return dimension_from_dict({"name": heading, **table})

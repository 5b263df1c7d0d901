"""Hashes: of tensors, of files, and of what a function does."""

import functools
import hashlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

SHOWN_DIGITS = 16


def tensor_hash(*tensors: Tensor) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the tensors' shapes and bytes."""
    return shown_digits(digest_of(*tensors))


def shown_digits(digest: "hashlib._Hash") -> str:
    """As many hexadecimal digits of a digest as records keep."""
    return digest.hexdigest()[:SHOWN_DIGITS]


def digest_of(*tensors: Tensor) -> "hashlib._Hash":
    """The SHA-256 of the tensors' shapes, types and bytes, still open: a copy of it takes more tensors."""
    digest = hashlib.sha256()
    add_tensors(digest, *tensors)
    return digest


def add_tensors(digest: "hashlib._Hash", *tensors: Tensor) -> None:
    """Puts more tensors into a digest."""
    for tensor in tensors:
        digest.update(f"{tuple(tensor.shape)}{tensor.dtype}".encode())
        array = tensor.detach().cpu().contiguous().numpy()
        digest.update(array.data if array.size else b"")  # an array without elements has no buffer to read


def file_hash(path: Path) -> str:
    """The SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def described(thing: Any) -> str:
    """A text that tells apart what functions and modules do, the same in every process.

    It holds qualified names, source code where it can be found, and what is bound into them: arguments of a partial,
    variables of a closure, attributes, weights. Torch's own are named only, so that its releases do not differ.
    """
    return _described(thing, set())


def network_described(network: nn.Module) -> str:
    """The text of a network: its repr, its weights, and the source of those of its modules that torch does not have."""
    kinds = sorted({described(type(module)) for module in network.modules() if not _is_torch(type(module))})
    return "\n".join([repr(network), tensor_hash(*network.state_dict().values()), *kinds])


def _described(thing: Any, seen: set[int]) -> str:
    if isinstance(thing, (str, bytes, int, float, complex, bool, type(None), Path)):
        return repr(thing)
    if isinstance(thing, Tensor):
        return tensor_hash(thing)
    if id(thing) in seen:
        return "..."
    seen = seen | {id(thing)}
    if isinstance(thing, functools.partial):
        return f"partial({_described(thing.func, seen)}, {_all(thing.args, seen)}, {_all(thing.keywords, seen)})"
    if isinstance(thing, (tuple, list, set, frozenset, Mapping)):
        return _all(thing, seen)
    if inspect.ismethod(thing):
        return f"{_described(thing.__self__, seen)}.{thing.__name__}"
    if inspect.isfunction(thing):
        cells = [cell.cell_contents for cell in thing.__closure__ or ()]
        return f"{_source(thing)} {_all(cells, seen)} {_all(thing.__defaults__ or (), seen)}"
    if inspect.isclass(thing) or inspect.isbuiltin(thing):
        return _source(thing)
    if isinstance(thing, nn.Module):
        return network_described(thing)
    return f"{_source(type(thing))} {_all(getattr(thing, '__dict__', {}), seen)}"


def _all(things: Any, seen: set[int]) -> str:
    if isinstance(things, Mapping):
        things = [f"{key}={_described(things[key], seen)}" for key in sorted(things, key=str)]
    elif isinstance(things, (set, frozenset)):
        things = sorted(_described(thing, seen) for thing in things)
    else:
        things = [_described(thing, seen) for thing in things]
    return f"[{', '.join(things)}]"


def _source(thing: Any) -> str:
    name = getattr(thing, "__qualname__", repr(thing))
    full_name = f"{getattr(thing, '__module__', '')}.{name}"
    if _is_torch(thing):
        return full_name
    try:
        return f"{name}: {inspect.getsource(thing)}"
    except (OSError, TypeError):  # built in, or written at a prompt
        return full_name


def _is_torch(thing: Any) -> bool:
    return (getattr(thing, "__module__", None) or "").split(".")[0] == "torch"

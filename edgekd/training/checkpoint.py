"""The state of a training between two epochs: one safetensors file, written atomically, nothing pickled.

Random numbers need no saving: every one of them is a function of the seed, the epoch and the sample.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from edgekd.errors import EdgekdError
from edgekd.files import write_atomic

SEPARATOR = "/"
LAST = "last.safetensors"  # the state after the last epoch, in a training's folder


def save(path: Path, modules: dict[str, nn.Module], optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Write modules, optimizer moments and the JSON-able `state`."""
    tensors: dict[str, Tensor] = {}
    for part, module in modules.items():
        tensors |= {f"{part}{SEPARATOR}{name}": t.contiguous() for name, t in module.state_dict().items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer{SEPARATOR}{index}{SEPARATOR}{k}": v.contiguous() for k, v in moments.items()}
    write_atomic(path, safetensors.torch.save(tensors, metadata={"state": json.dumps(state)}))


def restore_module(path: Path, part: str, module: nn.Module) -> None:
    """Fill one module from the part of a file of `save`.

    Raises: EdgekdError if the file is not one of ours or belongs to another network.
    """
    _fill({part: module}, _read(path)[1], path)


def read_part(path: Path, part: str) -> dict[str, Tensor]:
    """The tensors of one module in a file of `save`, by the module's names; none of a module that is not in it.

    Raises: EdgekdError if the file is not one of ours.
    """
    prefix = part + SEPARATOR
    return {n.removeprefix(prefix): t for n, t in _read(path)[1].items() if n.startswith(prefix)}


def read_state(path: Path) -> dict[str, Any]:
    """The JSON-able state in a file of `save`.

    Raises: EdgekdError if the file is not one of ours.
    """
    return _read(path)[0]


def restore(path: Path, modules: dict[str, nn.Module], optimizer: torch.optim.Optimizer) -> None:
    """Fill modules and optimizer from a file of `save`.

    Raises: EdgekdError if the file is not one of ours or belongs to another network.
    """
    tensors = _read(path)[1]
    _fill(modules, tensors, path)
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer" + SEPARATOR):
            _, index, key = name.split(SEPARATOR)
            moments.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            state = json.loads((file.metadata() or {})["state"])
            return state, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (safetensors.SafetensorError, KeyError, ValueError, OSError) as e:
        raise _foreign(path, e) from None


def _fill(modules: dict[str, nn.Module], tensors: dict[str, Tensor], path: Path) -> None:
    try:
        for part, module in modules.items():
            prefix = part + SEPARATOR
            module.load_state_dict({n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)})
    except (RuntimeError, ValueError) as e:
        raise _foreign(path, e) from None


def _foreign(path: Path, error: Exception) -> EdgekdError:
    found = str(error).splitlines()[0]
    return EdgekdError(f"checkpoint {path}", "the state of this training", found, "start anew with --overwrite")

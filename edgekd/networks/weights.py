"""Weights from files: safetensors, or .pth/.pt read with `weights_only=True`. Nothing is unpickled."""

from __future__ import annotations

import math
import pickle
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from timm.layers import resample_abs_pos_embed
from torch import Tensor, nn

from edgekd.errors import EdgekdError

WRAPPERS = ("state_dict", "model", "model_ema", "state_dict_ema")  # keys under which training scripts nest weights


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a weights file by name.

    Raises: EdgekdError for a missing or malformed file, one that holds more than tensors, or another extension.
    """
    path = Path(path)
    if not path.is_file():
        raise EdgekdError(f"weights {path}", "a file", "no such file")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        if path.suffix in (".pth", ".pt"):
            return _tensors(torch.load(path, map_location="cpu", weights_only=True), path)
    except (safetensors.SafetensorError, pickle.UnpicklingError, RuntimeError, ValueError, EOFError, OSError) as e:
        first = str(e).strip().splitlines()[0] if str(e).strip() else type(e).__name__
        raise EdgekdError(
            f"weights {path}", "a file of tensors only", first, "convert it to .safetensors where it was made"
        ) from None
    raise EdgekdError(f"weights {path}", ".safetensors, .pth or .pt", f"extension {path.suffix!r}")


def _tensors(loaded: object, path: Path) -> dict[str, Tensor]:
    for key in WRAPPERS:
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
            break
    if not isinstance(loaded, dict) or not all(isinstance(v, Tensor) for v in loaded.values()):
        raise EdgekdError(f"weights {path}", "a dictionary of tensors", type(loaded).__name__)
    return {str(k).removeprefix("module."): v for k, v in loaded.items()}


def load_weights(body: nn.Module, path: str | Path, *, other_head: bool = False) -> None:
    """Put the file's tensors into `body`; every name and shape must fit.

    With `other_head` the classifier (`body.get_classifier()`, or the names in `body.head_prefixes`) may be missing or of
    another shape: it then keeps its random start; and a transformer's positions, learnt at another image size, are resampled
    to its own. A body with `backbone_prefix` also takes a file of its backbone alone.
    Raises: EdgekdError that names the first tensors that do not fit.
    """
    state, own = read_weights(path), body.state_dict()
    prefix = getattr(body, "backbone_prefix", "")
    backbone_only = bool(prefix) and not any(name.startswith(prefix) for name in state)
    if backbone_only:
        state = {prefix + name: tensor for name, tensor in state.items()}
    heads = _head_names(body) if other_head else ()
    if other_head:
        state |= _resampled_positions(body, state)
    if backbone_only and other_head:
        heads += tuple(n for n in own if not n.startswith(prefix))
        state = {n: t for n, t in state.items() if n in own or not n.startswith(f"{prefix}classifier")}
    misfits = [n for n in own if n not in heads and (n not in state or state[n].shape != own[n].shape)]
    misfits += [n for n in state if n not in own and n not in heads]
    if misfits:
        shown = ", ".join(_misfit(n, state, own) for n in misfits[:5])
        raise EdgekdError(
            f"weights {path}", f"the tensors of {type(body).__name__}", f"{len(misfits)} misfits: {shown}"
        )
    fitting = {n: t for n, t in state.items() if n in own and t.shape == own[n].shape}
    body.load_state_dict(fitting, strict=False)


def _resampled_positions(body: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Position embeddings [1, N, C] of square grids of another size than the body's, as timm resamples them (bicubic)."""
    found = {}
    for name, module in body.named_modules():
        key = f"{name}.pos_embed" if name else "pos_embed"
        own, given = getattr(module, "pos_embed", None), state.get(key)
        grid = getattr(getattr(module, "patch_embed", None), "grid_size", None)
        if not isinstance(own, Tensor) or given is None or grid is None or own.ndim != 3 or given.ndim != 3:
            continue
        prefix = 0 if getattr(module, "no_embed_class", False) else getattr(module, "num_prefix_tokens", 0)
        places = given.shape[1] - prefix
        is_other_grid = given.shape[::2] == own.shape[::2] and given.shape[1] != own.shape[1]
        if is_other_grid and places > 0 and math.isqrt(places) ** 2 == places:
            found[key] = resample_abs_pos_embed(given, list(grid), num_prefix_tokens=prefix)
    return found


def _head_names(body: nn.Module) -> tuple[str, ...]:
    get_classifier = getattr(body, "get_classifier", None)
    head = get_classifier() if get_classifier else None
    if head is None:
        return ()
    modules = {id(m) for m in head.modules()}
    return tuple(
        f"{name}.{p}"
        for name, m in body.named_modules()
        if id(m) in modules
        for p, _ in m.named_parameters(recurse=False)
    )


def _misfit(name: str, state: dict[str, Tensor], own: dict[str, Tensor]) -> str:
    found = tuple(state[name].shape) if name in state else "missing"
    expected = tuple(own[name].shape) if name in own else "unknown to the network"
    return f"{name} (expected {expected}, found {found})"

"""Networks that timm defines, by timm's own names."""

from __future__ import annotations

from typing import Any

import timm
from timm.models import get_pretrained_cfg
from torch import nn

from edgekd.errors import EdgekdError, nearest

# Arguments of timm's `create_model` that read or run files, or fetch them: a recipe or manifest may come from a stranger.
REACHING_OUT = ("checkpoint_path", "cache_dir", "pretrained_cfg", "pretrained_cfg_overlay", "scriptable", "exportable")
SIZE = 224  # px; of a network without a configuration


def published(name: str, num_classes: int, size: int, pretrained: bool, **options: Any) -> nn.Module:
    """timm's network `name` for square images of `size` px; 0 classes leave its classifier off.

    Raises: EdgekdError for a name that timm does not know, or an option that would reach out of the network.
    """
    if not timm.is_model(name):
        raise EdgekdError(f"network {name!r}", "a network that timm defines", todo=nearest(name, timm.list_models()))
    if refused := [option for option in options if option in REACHING_OUT]:
        todo = 'weights come from weights = "file.safetensors"'
        raise EdgekdError(f"network {name!r}, option {refused[0]!r}", "an option of the network itself", todo=todo)
    if _has_a_size(name):
        options.setdefault("img_size", size)
    return timm.create_model(name, pretrained=pretrained, num_classes=num_classes, **options)


def own_sizes(name: str) -> tuple[int, ...]:
    """The input sizes in px that timm's configuration of `name` states: what it was trained at, and the smallest."""
    config = get_pretrained_cfg(name, allow_unregistered=True) if timm.is_model(name) else None
    if config is None:
        return (SIZE,)
    return tuple(size[-1] for size in (config.input_size, config.min_input_size) if size)


def _has_a_size(name: str) -> bool:
    # timm's contract: where `fixed_input_size` is set, the constructor takes `img_size`.
    config = get_pretrained_cfg(name, allow_unregistered=True)
    return config is not None and config.fixed_input_size

"""Networks by name, one file per family: a new network is a new entry in a module's `BUILDERS` here.

A builder is `build(num_classes, size, width, pretrained, **options) -> torch.nn.Module` that gives logits for normalized
images; any other name that timm knows is built by timm.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from pathlib import Path

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgekd.bundle import Bundle
from edgekd.errors import EdgekdError, nearest
from edgekd.networks.weights import load_weights
from edgekd.recipe import Network

VERSION = (
    1  # to be raised when the same settings and weights give other logits: what was stored of them is not read then
)
Builder = Callable[..., nn.Module]


class PixelNetwork(nn.Module):
    """A network with its own normalization: pixel views in, logits out.

    Shapes: views [B, 3, H, W] float, RGB, 0..255, any size -> logits [B, K]. Views of another size than the network's
    are resized (bilinear, antialiased). Teacher and student therefore take the very same view.
    """

    def __init__(self, body: nn.Module, size: int, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.body, self.size, self.mean, self.std = body, size, tuple(mean), tuple(std)
        self.register_buffer("_mean", torch.tensor(mean).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("_std", torch.tensor(std).view(1, 3, 1, 1) * 255, persistent=False)

    def forward(self, views: Tensor) -> Tensor:
        """Logits of pixel views."""
        if views.shape[-1] != self.size or views.shape[-2] != self.size:
            views = functional.interpolate(views, (self.size, self.size), mode="bilinear", antialias=True)
        return self.body((views - self._mean) / self._std)


def builders() -> dict[str, Builder]:
    """Every network that edgekd itself defines."""
    found: dict[str, Builder] = {}
    for module in pkgutil.iter_modules(__path__):
        found.update(getattr(importlib.import_module(f"{__name__}.{module.name}"), "BUILDERS", {}))
    return found


def build(settings: Network, num_classes: int, size: int) -> PixelNetwork:
    """The network of a recipe section for square images of `size` px, with the weights that the section names.

    Raises: EdgekdError for an unknown name or option, or weights that are missing, unreachable or do not fit.
    """
    body = _call(find_builder(settings), settings, num_classes, size)
    if settings.weights:
        load_weights(body, settings.weights, other_head=True)
    config = getattr(body, "pretrained_cfg", {}) or {}
    mean = config.get("mean", timm.data.IMAGENET_DEFAULT_MEAN)
    return PixelNetwork(body, size, mean, config.get("std", timm.data.IMAGENET_DEFAULT_STD))


def find_builder(settings: Network) -> Builder:
    """The builder of a recipe section, after what can be checked before hours of training: name, options, weights file.

    Raises: EdgekdError with the nearest valid name, or for a weights file that is not there.
    """
    own, name = builders(), settings.network
    if name not in own and not timm.is_model(name):
        raise EdgekdError(f"network {name!r}", "a network that edgekd or timm defines", todo=_suggest(name, own))
    builder = own[name] if name in own else _timm_builder(name)
    _check_options(name, builder, settings.options)
    if settings.weights and not Path(settings.weights).is_file():
        raise EdgekdError(f"weights {settings.weights}", "a file", "no such file")
    return builder


def _suggest(name: str, own: dict[str, Builder]) -> str:
    close = nearest(name, [*own, *timm.list_models()])
    return close if close.startswith("did") else f"edgekd's own: {', '.join(sorted(own))}; or any timm model name"


def _call(builder: Builder, settings: Network, num_classes: int, size: int) -> nn.Module:
    try:
        return builder(num_classes, size, settings.width, settings.pretrained, **settings.options)
    except EdgekdError:
        raise
    except Exception as e:  # timm and its hub client raise many types
        where = f"network {settings.network!r}"
        if settings.pretrained:
            todo = 'where the hub cannot be reached set pretrained = false and weights = "file.safetensors"'
            raise EdgekdError(where, "timm's published weights", f"{type(e).__name__}: {e}", todo) from None
        raise EdgekdError(where, "options that build it", f"{type(e).__name__}: {e}") from None


def _check_options(name: str, builder: Builder, options: dict[str, object]) -> None:
    parameters = inspect.signature(builder).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return  # timm's constructors check their own arguments
    known = [p for p in parameters if p not in ("num_classes", "size", "width", "pretrained")]
    for option in options:
        if option not in known:
            raise EdgekdError(f"network {name!r}, option {option!r}", "a known option", todo=nearest(option, known))


# Arguments of timm's `create_model` that read or run files, or fetch them: a recipe or manifest may come from a stranger.
REACHING_OUT = ("checkpoint_path", "cache_dir", "pretrained_cfg", "pretrained_cfg_overlay", "scriptable", "exportable")


def _timm_builder(name: str) -> Builder:
    def build_timm(num_classes: int, size: int, width: float, pretrained: bool, **options: object) -> nn.Module:
        if width != 1.0:
            raise EdgekdError(f"network {name!r}", "width = 1.0 (timm's own networks have no multiplier)", f"{width}")
        if refused := [option for option in options if option in REACHING_OUT]:
            todo = 'weights come from weights = "file.safetensors"'
            raise EdgekdError(f"network {name!r}, option {refused[0]!r}", "an option of the network itself", todo=todo)
        if _is_vit(name):
            options.setdefault("img_size", size)  # position embeddings have a size; convolutions do not
        return timm.create_model(name, pretrained=pretrained, num_classes=num_classes, **options)

    return build_timm


def _is_vit(name: str) -> bool:
    return name.startswith(("vit_", "deit_", "eva02_", "beit"))


def from_bundle(bundle: Bundle) -> PixelNetwork:
    """The float network of a bundle, with its weights, in eval mode.

    Raises: EdgekdError if the weights do not fit what the manifest describes.
    """
    m = bundle.manifest
    settings = Network(network=m.network.network, width=m.network.width, options=m.network.options)
    network = build(settings, len(m.label_names), m.input.size)
    load_weights(network.body, bundle.file("weights.safetensors"))
    return PixelNetwork(network.body, m.input.size, m.input.mean, m.input.std).eval()

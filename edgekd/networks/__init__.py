"""Networks by name, one file per family: a new network is a new entry in a module's `BUILDERS` here.

A builder is `build(num_classes, size, width, pretrained, **options) -> torch.nn.Module` that gives logits for normalized
images; any other name that timm knows is built by timm.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgekd.bundle import Bundle
from edgekd.errors import EdgekdError, nearest
from edgekd.networks import fitting, taps
from edgekd.networks.normalization import Statistics, statistics
from edgekd.networks.published import own_sizes, published
from edgekd.networks.taps import Outputs
from edgekd.networks.weights import load_weights
from edgekd.preprocess import InputContract
from edgekd.recipe import Network

VERSION = (
    1  # to be raised when the same settings and weights give other logits: what was stored of them is not read then
)
Builder = Callable[..., nn.Module]
_fitting: set[str] = set()  # what this process tried already and found to run: a trial takes as long as a small epoch


class PixelNetwork(nn.Module):
    """A network with its own normalization: pixel views in, logits out.

    Shapes: views [B, 3, H, W] float, RGB, 0..255, any size -> logits [B, K]. Views of another size than the network's
    are resized (bilinear, antialiased). Teacher and student therefore take the very same view.
    """

    _mean: Tensor
    _std: Tensor

    def __init__(self, body: nn.Module, size: int, mean: Statistics, std: Statistics) -> None:
        super().__init__()
        self.body, self.size, self.mean, self.std = body, size, mean, std
        self.register_buffer("_mean", torch.tensor(mean).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("_std", torch.tensor(std).view(1, 3, 1, 1) * 255, persistent=False)

    def forward(self, views: Tensor) -> Tensor:
        """Logits of pixel views."""
        return self.body(self.normalized(views))

    def tapped(self, views: Tensor, names: Sequence[str]) -> Outputs:
        """Logits of pixel views, and the body's features by name."""
        return taps.outputs(self.body, self.normalized(views), names)

    def tap_names(self) -> tuple[str, ...]:
        """The taps of the body."""
        return taps.names_of(self.body)

    def normalized(self, views: Tensor) -> Tensor:
        """What the body takes of pixel views."""
        if views.shape[-1] != self.size or views.shape[-2] != self.size:
            views = functional.interpolate(views, (self.size, self.size), mode="bilinear", antialias=True)
        return (views - self._mean) / self._std


def builders() -> dict[str, Builder]:
    """Every network that edgekd itself defines."""
    found: dict[str, Builder] = {}
    for module in pkgutil.iter_modules(__path__):
        found.update(getattr(importlib.import_module(f"{__name__}.{module.name}"), "BUILDERS", {}))
    return found


def build(settings: Network, num_classes: int, size: int) -> PixelNetwork:
    """The network of a recipe section for square images of `size` px, with the weights that the section names.

    Raises: EdgekdError for what `check_network` finds, or weights that are unreachable or do not fit.
    """
    builder = _find_builder(settings)
    _try(builder, settings, num_classes, size)
    body = _call(builder, settings, num_classes, size)
    if settings.weights_file:
        load_weights(body, settings.weights_file, other_head=True)
    return PixelNetwork(body, size, *statistics(body))


def check_network(settings: Network, size: int) -> None:
    """Find what can be found before hours of training: name, options, weights file, and whether `size` px fit.

    Raises: EdgekdError with the nearest valid name, the sizes that fit, or what makes a weights file that is not there.
    """
    _try(_find_builder(settings), settings, 2, size)


def _find_builder(settings: Network) -> Builder:
    own, name = builders(), settings.network
    if name not in own and not timm.is_model(name):
        raise EdgekdError(f"network {name!r}", "a network that edgekd or timm defines", todo=_suggest(name, own))
    builder = own[name] if name in own else _timm_builder(name)
    _check_options(name, builder, settings.options)
    if settings.weights_file and not Path(settings.weights_file).is_file():
        todo = (
            f"{settings.weights_from or 'name a file that is there'}; or pretrained = true for timm's published weights"
        )
        raise EdgekdError(f"weights {settings.weights} of network {name!r}", "a file", "no such file", todo)
    return builder


def _suggest(name: str, own: dict[str, Builder]) -> str:
    close = nearest(name, [*own, *timm.list_models()])
    return close if close.startswith("did") else f"edgekd's own: {', '.join(sorted(own))}; or any timm model name"


def _try(builder: Builder, settings: Network, num_classes: int, size: int) -> None:
    def make(size: int) -> nn.Module:
        return builder(num_classes, size, settings.width, False, **settings.options)

    asked = repr((settings.network, settings.width, settings.options, num_classes, size))
    if asked not in _fitting:
        fitting.require(f"network {settings.network!r}", make, size, num_classes, own_sizes(settings.network))
        _fitting.add(asked)


def _call(builder: Builder, settings: Network, num_classes: int, size: int) -> nn.Module:
    arguments = num_classes, size, settings.width, settings.pretrained
    if not settings.pretrained:
        return builder(*arguments, **settings.options)
    try:
        return builder(*arguments, **settings.options)
    except EdgekdError:
        raise
    except Exception as e:  # timm's hub client raises many types
        where, found = f"network {settings.network!r}", f"{type(e).__name__}: {e}"
        todo = 'where the hub cannot be reached set pretrained = false and weights = "file.safetensors"'
        raise EdgekdError(where, "timm's published weights", found, todo) from None


def _check_options(name: str, builder: Builder, options: dict[str, object]) -> None:
    parameters = inspect.signature(builder).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return  # timm's constructors check their own arguments
    known = [p for p in parameters if p not in ("num_classes", "size", "width", "pretrained")]
    for option in options:
        if option not in known:
            raise EdgekdError(f"network {name!r}, option {option!r}", "a known option", todo=nearest(option, known))


def _timm_builder(name: str) -> Builder:
    def build_timm(num_classes: int, size: int, width: float, pretrained: bool, **options: Any) -> nn.Module:
        if width != 1.0:
            raise EdgekdError(f"network {name!r}", "width = 1.0 (timm's own networks have no multiplier)", f"{width}")
        return published(name, num_classes, size, pretrained, **options)

    return build_timm


def described(
    name: str, width: float, options: dict[str, Any], contract: InputContract, num_classes: int
) -> PixelNetwork:
    """The network that a manifest describes, with random weights and the contract's normalization.

    Raises: EdgekdError as `build` does.
    """
    network = build(Network(network=name, width=width, options=options), num_classes, contract.size)
    return PixelNetwork(network.body, contract.size, contract.mean, contract.std)


def from_bundle(bundle: Bundle) -> PixelNetwork:
    """The float network of a bundle, with its weights, in eval mode.

    Raises: EdgekdError if the weights do not fit what the manifest describes.
    """
    m = bundle.manifest
    if m.network.framework != "torch":
        from edgekd.quantization.network import network_of_graph

        return network_of_graph(bundle)
    network = described(m.network.network, m.network.width, m.network.options, m.input, len(m.label_names))
    load_weights(network.body, bundle.file("weights.safetensors"))
    return network.eval()

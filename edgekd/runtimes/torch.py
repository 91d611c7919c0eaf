"""The float network itself, in torch: the reference that every artefact is compared with."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from edgekd import extras
from edgekd.bundle import Bundle
from edgekd.measures.calibration import softmax
from edgekd.quantization import heatmap
from edgekd.quantization.graph import Graph

if TYPE_CHECKING:
    from edgekd.networks import PixelNetwork


class TorchSession:
    """A float network with its calibration temperature."""

    def __init__(self, network: PixelNetwork, temperature: float) -> None:
        import torch

        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network, self.temperature = network, temperature
        self.network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload] # torch's types lack it

    def probs(self, pixels: np.ndarray) -> np.ndarray:
        """Calibrated probabilities [B, K] float32 of pixels [B, S, S, 3] uint8 RGB."""
        from edgekd.networks.prediction import predict

        logits = predict(self.network, pixels, np.arange(len(pixels)), self.device)
        return softmax(logits, self.temperature).astype(np.float32)

    def heatmap(self, pixels: np.ndarray) -> np.ndarray:
        """Maps [B, H, W, K] float32 in logits of pixels [B, S, S, 3] uint8 RGB, by the network's graph in NumPy.

        Raises: EdgekdError for a network that has no graph, or none with such a map.
        """
        return heatmap.maps(self._mapped, pixels)

    @cached_property
    def _mapped(self) -> Graph:
        from edgekd.quantization.lowering import lower

        return heatmap.with_heatmap(lower(self.network))


def load(bundle: Bundle) -> TorchSession:
    """A session on the bundle's float weights.

    Raises: EdgekdError if torch is missing.
    """
    extras.need(f"the float network of {bundle.folder}", "train", ("torch", "timm"))
    from edgekd.networks import from_bundle

    return TorchSession(from_bundle(bundle), bundle.manifest.temperature)

"""The float network itself, in torch: the reference that every artefact is compared with."""

from __future__ import annotations

import numpy as np

from edgekd import extras
from edgekd.bundle import Bundle
from edgekd.measures.calibration import softmax


class TorchSession:
    """A bundle's float network with its calibration temperature."""

    def __init__(self, bundle: Bundle) -> None:
        import torch

        from edgekd.networks import from_bundle

        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.temperature = bundle.manifest.temperature
        self.network = from_bundle(bundle)
        self.network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload] # torch's types lack it

    def probs(self, pixels: np.ndarray) -> np.ndarray:
        """Calibrated probabilities [B, K] float32 of pixels [B, S, S, 3] uint8 RGB."""
        from edgekd.networks.prediction import predict

        logits = predict(self.network, pixels, np.arange(len(pixels)), self.device)
        return softmax(logits, self.temperature).astype(np.float32)


def load(bundle: Bundle) -> TorchSession:
    """A session on the bundle's float weights.

    Raises: EdgekdError if torch is missing.
    """
    extras.need(f"the float network of {bundle.folder}", "train", ("torch", "timm"))
    return TorchSession(bundle)

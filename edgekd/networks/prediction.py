"""Logits of whole splits: a network over images that nobody augments."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from edgekd.data.augment import plain_views


@torch.inference_mode()
def predict(
    network: nn.Module, array: np.ndarray, rows: np.ndarray, device: torch.device, batch_size: int = 64
) -> np.ndarray:
    """Logits [len(rows), K] float32 of the unchanged images, in eval mode, in float32."""
    network.eval()
    parts = [
        network(plain_views(array, rows[i : i + batch_size], device)).float().cpu().numpy()
        for i in range(0, len(rows), batch_size)
    ]
    return np.concatenate(parts)

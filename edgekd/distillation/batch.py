"""A batch of a training, as the student sees it and as the teacher is asked about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """This process's part of a global batch: views [B, 3, S, S], soft targets [B, K], rows [B] of the set, the views' epoch.

    A row of `targets` that is all zero has no label. Where the views are of several epochs, `epoch` is [B].
    """

    epoch: int | np.ndarray
    rows: np.ndarray
    pixels: Tensor
    targets: Tensor

    def epoch_of(self, which: np.ndarray) -> int | np.ndarray:
        """The epoch of the rows `which` [B] bool."""
        return self.epoch[which] if isinstance(self.epoch, np.ndarray) else self.epoch


def taught(targets: Tensor, teacher: Tensor) -> Tensor:
    """Soft targets [B, K], with the class that the teacher's logits [B, K] put first where a row has no label."""
    first = torch.nn.functional.one_hot(teacher.argmax(1), targets.shape[1]).to(targets.dtype)
    return torch.where(targets.sum(1, keepdim=True) > 0, targets, first)

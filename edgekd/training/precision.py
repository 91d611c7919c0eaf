"""Mixed precision: bfloat16 where the device has it, float32 elsewhere."""

from __future__ import annotations

import contextlib

import torch


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """The autocast type for a recipe's `precision`, None for float32.

    `auto` is bfloat16 on GPUs that have it. CPUs stay with float32: even those with bfloat16 instructions gain on large
    images only.
    """
    if precision == "bf16" or (precision == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported()):
        return torch.bfloat16
    return None


def autocast(device: torch.device, dtype: torch.dtype | None) -> contextlib.AbstractContextManager[None]:
    """The context in which forward passes run; no context at all for float32."""
    return torch.autocast(device.type, dtype) if dtype else contextlib.nullcontext()

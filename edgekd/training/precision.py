"""Mixed precision: bfloat16 where the device has it, float32 elsewhere."""

from __future__ import annotations

import contextlib

import torch


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """The autocast type for a recipe's `precision`, None for float32.

    `bf16` is bfloat16 where the device computes it, and float32 on a processor that would have to imitate it, several times
    slower. `auto` is bfloat16 on GPUs alone: processors with bfloat16 instructions gain on large images only.
    """
    wanted = precision == "bf16" or (precision == "auto" and device.type == "cuda")
    return torch.bfloat16 if wanted and has_bf16(device) else None


def has_bf16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16: a processor by what oneDNN, which does torch's convolutions, says of it."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    says = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)  # torch without oneDNN has no such question
    return device.type != "cpu" or bool(says and says())


def autocast(device: torch.device, dtype: torch.dtype | None) -> contextlib.AbstractContextManager[None]:
    """The context in which forward passes run; no context at all for float32."""
    return torch.autocast(device.type, dtype) if dtype else contextlib.nullcontext()

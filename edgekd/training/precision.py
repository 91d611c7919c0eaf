"""Mixed precision: bfloat16 where the device has it, float32 elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode


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


@contextlib.contextmanager
def autocast(device: torch.device, dtype: torch.dtype | None) -> Iterator[None]:
    """The context in which training passes run forward; none at all for float32."""
    if dtype is None:
        yield
        return
    with torch.autocast(device.type, dtype), _Depthwise() if device.type == "cpu" else contextlib.nullcontext():
        yield


class _Depthwise(TorchFunctionMode):
    """Under autocast, computes in float32 the depthwise convolutions whose gradient is slower in bfloat16.

    These are the strided ones and those of 5 x 5: oneDNN has fast kernels for the gradient of depthwise convolutions in
    float32 alone, and with the others MobileNetV2 and EfficientNet train slower in bfloat16 than in float32
    (`benchmarks/training_precision.py`). What comes out is rounded as the rest is.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        return (_convolution if func is functional.conv2d else func)(*args, **(kwargs or {}))


def _convolution(input: Tensor, weight: Tensor, bias: Tensor | None = None, *args: Any, **options: Any) -> Tensor:
    given: Mapping[str, Any] = dict(zip(("stride", "padding", "dilation", "groups"), args, strict=False)) | options
    if not (torch.is_autocast_enabled("cpu") and _is_slow(weight, given)):
        return functional.conv2d(input, weight, bias, **given)
    with torch.autocast("cpu", enabled=False):
        found = functional.conv2d(input.float(), weight.float(), None if bias is None else bias.float(), **given)
    return found.to(torch.get_autocast_dtype("cpu"))


def _is_slow(weight: Tensor, given: Mapping[str, Any]) -> bool:
    stride = given.get("stride", 1)
    is_depthwise = given.get("groups", 1) > 1 and weight.shape[1] == 1
    return is_depthwise and (stride not in (1, (1, 1)) or max(weight.shape[2:]) > 3)

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
    slower. `auto` is bfloat16 on GPUs alone: what a recipe gives shall not hang on which processor it meets unless it says so.
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
    """The context in which networks run forward, one that learns or one that answers; of float32, no autocast at all."""
    with (
        torch.autocast(device.type, dtype) if dtype else contextlib.nullcontext(),
        _FastOnProcessors() if device.type == "cpu" else contextlib.nullcontext(),
    ):
        yield


class _FastOnProcessors(TorchFunctionMode):
    """Takes another way where a processor is slow (`benchmarks/training_precision.py`).

    What learns, and what is of bfloat16, does nothing in place: bfloat16 is slow there, and of what ReLU6 overwrites autograd
    makes a copy first. The values are the same.

    What learns under autocast is computed in float32 where bfloat16 has the slower gradient, and its result rounded as the rest
    is: depthwise convolutions with a stride or of 5 x 5, whose gradient oneDNN has fast kernels for in float32 alone, and
    attention. Without it MobileNetV2 and EfficientNet train slower in bfloat16 than in float32.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        given = kwargs or {}
        learns, is_rounded = torch.is_grad_enabled(), torch.is_autocast_enabled("cpu")
        if given.get("inplace") and (learns or is_rounded):
            given = {**given, "inplace": False}
        if learns and is_rounded and func in _SLOW and _SLOW[func](*args, **given):
            return _in_float32(func, args, given)
        return func(*args, **given)


def _is_slow(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, ...] = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> bool:
    is_depthwise = groups > 1 and weight.shape[1] == 1
    return is_depthwise and (stride not in (1, (1, 1)) or max(weight.shape[2:]) > 3)


_SLOW: Mapping[Callable[..., Tensor], Callable[..., bool]] = {  # and for which arguments
    functional.conv2d: _is_slow,
    functional.scaled_dot_product_attention: lambda *_, **__: True,
}


def _in_float32(func: Callable[..., Tensor], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
    with torch.autocast("cpu", enabled=False):
        found = func(*map(_full, args), **{name: _full(value) for name, value in kwargs.items()})
    return found.to(torch.get_autocast_dtype("cpu"))


def _full(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.is_floating_point() else value

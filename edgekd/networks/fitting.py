"""Whether a network runs at an input size: tried on meta tensors, which have a shape and no values.

A trial takes a fraction of a second and finds what each family asks for in its own way: whole patches, windows, a map that
five strides leave something of.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable

import torch
from timm.layers import PatchEmbed
from torch import Tensor, nn

from edgekd.errors import EdgekdError

SIZES = range(16, 1025)  # px, as in a recipe
STRIDE = 32  # px; of most networks' last map


def require(where: str, make: Callable[[int], nn.Module], size: int, num_classes: int, own: Iterable[int]) -> None:
    """Refuse a network that cannot be built, or gives no logits, for square images of `size` px.

    `make(size)` builds it; `own` are the sizes that its authors name, which the error tells beside what fits near `size`.
    Raises: EdgekdError.
    """
    problem, step = _trial(make, size, num_classes)
    if not problem:
        return
    below = size - size % step
    near = {below + k * step for k in range(3)} | set(own)
    fits = [s for s in sorted(near - {size}) if s in SIZES and not _trial(make, s, num_classes)[0]]
    if not fits:
        raise EdgekdError(where, "options with which it is built and gives logits", problem)
    nearest = min(fits, key=lambda s: abs(s - size))
    expected = f"an input size that fits: {', '.join(map(str, fits))} px"
    raise EdgekdError(where, expected, f"{size} px: {problem}", f"for example --set input.size={nearest}")


def _trial(make: Callable[[int], nn.Module], size: int, num_classes: int) -> tuple[str, int]:
    """What is wrong at `size` ("" if nothing), and the step in px between sizes that may fit."""
    step = STRIDE
    try:
        with torch.device("meta"), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a network warns of, it says when it is built to be used
            body = make(size)
            patches = [p for m in body.modules() if isinstance(m, PatchEmbed) for p in m.patch_size]
            step = math.lcm(*patches) if patches else STRIDE
            if patches and size % step:  # else the rest of the image would be left out without a word
                return f"patches of {step} px do not divide it", step
            logits = body(torch.zeros(2, 3, size, size))
    except EdgekdError:
        raise
    except Exception as e:  # every family has its own way to refuse a size
        return _first_line(e), step
    found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    return ("" if found == (2, num_classes) else f"it gives {found}, not logits (2, {num_classes})"), step


def _first_line(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__

"""The heat map inside the file: what each place adds to the logit of a class (CAM; Zhou et al., CVPR 2016), in one inference.

Unlike the other methods it is no estimate: the mean of the map and the class's bias are the logit. See `quantization.heatmap`.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from edgekd.errors import EdgekdError
from edgekd.runtimes import Mapped
from edgekd.section import Section

SUBJECT = "heatmap"


class Options(Section):
    """There are none."""


def explain(session: Mapped, pixels: np.ndarray, target: int, options: Options) -> np.ndarray:
    """The map of one class for pixels [S, S, 3] uint8, enlarged bilinearly: [S, S] float32, in logits.

    Raises: EdgekdError for a session on what has none.
    """
    if not hasattr(session, "heatmap"):
        raise EdgekdError(
            "the explainer 'heatmap'", "a session on a graph or a file with a heat map", "another network"
        )
    small = np.ascontiguousarray(session.heatmap(pixels[None])[0, :, :, target])
    return np.asarray(Image.fromarray(small).resize(pixels.shape[1::-1], Image.Resampling.BILINEAR))

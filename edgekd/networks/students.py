"""The students: networks that phones run well (plain convolutions, depthwise convolutions, ReLU6, no attention)."""

from __future__ import annotations

from typing import Any

from timm.models import efficientnet
from torch import nn


def mobilenetv2(num_classes: int, size: int, width: float, pretrained: bool, drop_rate: float = 0.2) -> nn.Module:
    """MobileNetV2 (Sandler et al., CVPR 2018) as timm's `mobilenetv2_100`, any channel multiplier."""
    del size  # fully convolutional
    return _timm(efficientnet._gen_mobilenet_v2, "mobilenetv2_100", num_classes, width, pretrained, drop_rate=drop_rate)


def efficientnet_lite0(
    num_classes: int, size: int, width: float, pretrained: bool, drop_rate: float = 0.2, drop_path_rate: float = 0.0
) -> nn.Module:
    """EfficientNet-Lite0 (ReLU6, no squeeze-and-excitation) as timm's `efficientnet_lite0`, any channel multiplier."""
    del size
    rates: dict[str, Any] = {"drop_rate": drop_rate, "drop_path_rate": drop_path_rate}
    return _timm(efficientnet._gen_efficientnet_lite, "efficientnet_lite0", num_classes, width, pretrained, **rates)


def _timm(generator: Any, name: str, num_classes: int, width: float, pretrained: bool, **options: Any) -> nn.Module:
    # timm registers fixed widths only; its generators take any.
    body = generator(name, channel_multiplier=width, pretrained=pretrained, num_classes=num_classes, **options)
    # timm draws the classifier from +-1 / sqrt(classes): with few classes the first logits are huge and learning waits for
    # them to shrink. MobileNetV2's authors start from a standard deviation of 0.01.
    nn.init.normal_(body.classifier.weight, std=0.01)
    return body


BUILDERS = {"mobilenetv2": mobilenetv2, "efficientnet_lite0": efficientnet_lite0}

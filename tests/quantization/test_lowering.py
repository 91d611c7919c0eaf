"""Lowering: the graph computes what the torch network does, and names what it cannot hold."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from edgekd.errors import EdgekdError
from edgekd.networks import PixelNetwork, build, cost
from edgekd.quantization import reference
from edgekd.quantization.folding import fold_normalization
from edgekd.quantization.graph import Add, DepthwiseConv, Grid, macs
from edgekd.quantization.lowering import lower
from edgekd.recipe import Network

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


class Plain(nn.Module):
    """A small CNN written as people write them: functions, methods, no BatchNorm in places, an odd padding."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3, stride=2, padding=(1, 0), bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.b = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8)
        self.c = nn.Conv2d(8, 8, 1)
        self.act = nn.ReLU6()
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = functional.relu(self.bn(self.a(x)))
        y = self.act(self.b(x))
        x = torch.relu(x + self.c(y))
        x = functional.dropout(x.mean((2, 3)), training=self.training)
        return self.head(self.dropout(torch.flatten(x, 1)))


def shake(network):
    """Random statistics and affine parameters, as after a training; at the start folding would have nothing to do."""
    generator = torch.Generator().manual_seed(5)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3, generator=generator)
            module.running_var.uniform_(0.5, 2.0, generator=generator)
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(0, 0.3, generator=generator)
    return network.eval()


def pixels(size, count=3):
    return np.random.default_rng(size).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("name", "width", "size"),
    [
        ("mobilenetv2", 0.35, 64),
        ("mobilenetv2", 1.0, 33),
        ("efficientnet_lite0", 0.5, 48),
        ("efficientnet_lite0", 1.0, 65),
    ],
)
def test_students_of_any_width_and_size(name, width, size):
    torch.manual_seed(1)
    network = shake(build(Network(network=name, width=width), 3, size))
    graph, images = lower(network), pixels(size)
    with torch.inference_mode():
        expected = network(torch.from_numpy(images).permute(0, 3, 1, 2).float()).numpy()
    assert reference.logits(graph, images) == pytest.approx(expected, abs=2e-4)
    assert macs(graph) == cost.macs(network, size)
    assert sum(isinstance(n, DepthwiseConv) for n in graph.nodes) == {"mobilenetv2": 17, "efficientnet_lite0": 16}[name]


def test_a_plain_network():
    torch.manual_seed(2)
    network = PixelNetwork(shake(Plain()), 21, MEAN, STD)
    graph, images = lower(network), pixels(21)
    with torch.inference_mode():
        expected = network(torch.from_numpy(images).permute(0, 3, 1, 2).float()).numpy()
    assert reference.logits(graph, images) == pytest.approx(expected, abs=1e-5)
    assert [n.kind for n in graph.nodes] == [
        "input", "conv", "depthwise_conv", "conv", "add", "mean", "fully_connected",
    ]  # fmt: skip
    added = next(n for n in graph.nodes if isinstance(n, Add))
    assert added.activation == "relu"


def test_folding_the_normalization_changes_padded_borders_only():
    torch.manual_seed(3)
    network = PixelNetwork(shake(Plain()), 21, MEAN, STD)
    graph, images = lower(network), pixels(21, 1)
    folded = fold_normalization(graph)
    grey = round(255 * np.mean(MEAN))
    assert folded.input.mean == (grey, grey, grey)
    assert folded.input.pixel_grid == Grid(scale=1.0, zero_point=grey - 128)
    stem = graph.nodes[1].name
    a, b = reference.run(graph, images)[stem], reference.run(folded, images)[stem]
    assert a[:, 1:-1] == pytest.approx(b[:, 1:-1], abs=2e-4)  # padded above and below, not left and right
    assert np.abs(a[:, 0] - b[:, 0]).max() > 0.01
    exact = images.copy()
    exact[:] = 255 * np.array(MEAN)  # no picture has it exactly, but a border of this colour would change nothing
    assert fold_normalization(folded).arrays[f"{stem}.weight"] == pytest.approx(folded.arrays[f"{stem}.weight"])


class Unsupported(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.SiLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 1, groups=2))
        self.other = nn.Sequential(nn.Conv2d(3, 4, 3, padding="same"), nn.Sigmoid())
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        self_attention = self.other(x)
        return self.head(self.body(x).mean((2, 3))) + self_attention.mean((2, 3)).sum(1, keepdim=True)


def test_everything_that_cannot_be_held_is_named_at_once():
    with pytest.raises(EdgekdError) as found:
        lower(PixelNetwork(Unsupported(), 16, MEAN, STD))
    text = str(found.value)
    assert "6 problems" in text
    for named in ("body.1: SiLU", "body.2: MaxPool2d", "body.3: Conv2d (2 groups of 8 channels)", "other.1: Sigmoid"):
        assert named in text
    assert "other.0: Conv2d (only plain zero padding)" in text
    assert "--via litert-torch" in text
    assert "--onnx" in text


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (
            nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 2)),
            "1: AdaptiveAvgPool2d",
        ),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 2)), "1: Flatten"),
        (nn.Sequential(nn.BatchNorm2d(3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)), "0: BatchNorm2d"),
        (nn.Sequential(nn.Conv2d(4, 8, 1, groups=2), nn.AdaptiveAvgPool2d(1), nn.Flatten()), "2 groups of 4"),
    ],
)
def test_each_refusal_names_the_module(body, named):
    with pytest.raises(EdgekdError, match=named):
        lower(PixelNetwork(body, 8, MEAN, STD))


def test_control_flow_is_refused_with_the_routes_left():
    class Branching(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(EdgekdError, match=r"torch\.fx can trace"):
        lower(PixelNetwork(Branching(), 8, MEAN, STD))


def test_a_value_that_others_read_is_not_changed():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.act, self.head = nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Linear(4, 2)

        def forward(self, x):
            x = self.conv(x)
            return self.head((x + self.act(x)).mean((2, 3)))

    with pytest.raises(EdgekdError, match="act: ReLU"):
        lower(PixelNetwork(Twice(), 8, MEAN, STD))

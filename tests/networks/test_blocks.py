"""What each stage of fine-tuning lets learn, by name."""

import pytest
import timm
from torch import nn

from edgekd.errors import EdgekdError
from edgekd.networks import PixelNetwork, blocks, build
from edgekd.recipe import Network

HYBRID = {"depth": 1, "dim": 32, "heads": 2, "hidden": 16}
# network, options, size in px; then by module what "head" is, and what "top" with 30 % adds to it
NETWORKS = {
    # The stem and 17 inverted residuals; ceil(0.3 * 18) = 6 blocks, the last convolution in the last of them.
    "mobilenetv2": (
        {},
        32,
        ["classifier"],
        ["blocks.4.1", "blocks.4.2", "blocks.5.0", "blocks.5.1", "blocks.5.2", "blocks.6.0", "conv_head", "bn2"],
    ),
    # ResNet-10's stem and four residual blocks; ceil(0.3 * 5) = 2.
    "hybrid_resnet_vit": (HYBRID, 32, ["encoder", "head"], ["backbone.body.layer3.0", "backbone.body.layer4.0"]),
    # The stem (patches, class token, positions) and twelve layers; ceil(0.3 * 13) = 4, the final norm in the last.
    "vit_tiny_patch16_224": ({}, 32, ["head"], ["blocks.8", "blocks.9", "blocks.10", "blocks.11", "norm"]),
    # Two backbones side by side, each with a top: the last of the stem and four blocks, the last of the stem and twelve.
    "hybrid_cnn_vit": (
        {"backbone": "resnet10t", "vit": "vit_tiny_patch16_224", "hidden": 16},
        32,
        ["head"],
        [f"backbone.body.layer{n}.0" for n in (3, 4)]
        + [f"encoder.body.blocks.{n}" for n in (8, 9, 10, 11)]
        + ["encoder.body.norm"],
    ),
    "dualpool": (
        {"backbone": "resnet10t", "hidden": 16},
        32,
        ["head"],
        ["backbone.layer3.0", "backbone.layer4.0"],
    ),
    "deit_tiny_distilled_patch16_224": (
        {},
        32,
        ["head", "head_dist"],
        ["blocks.8", "blocks.9", "blocks.10", "blocks.11", "norm"],
    ),
}


@pytest.fixture(params=NETWORKS)
def made(request):
    """A network and what is expected of it."""
    options, size, head, top = NETWORKS[request.param]
    return build(Network(network=request.param, options=options), 3, size), head, top


def names(network, modules):
    return {name for name, _ in network.named_parameters() for m in modules if name.startswith(f"body.{m}.")}


def test_head_top_and_all_are_these(made):
    network, head, top = made
    assert blocks.learning(network, "head", 0.3) == names(network, head)
    assert blocks.learning(network, "top", 0.3) == names(network, head + top)
    assert blocks.learning(network, "all", 0.3) == {name for name, _ in network.named_parameters()}
    assert blocks.learning(network, "top", 1.0) == blocks.learning(network, "all", 0.3)


@pytest.mark.parametrize(
    ("fraction", "count"), [(1e-9, 1), (1 / 18, 1), (2 / 18, 2), (3 / 18, 3), (0.34, 7), (17 / 18, 17)]
)
def test_the_number_of_blocks_is_rounded_up_and_rounding_errors_are_no_block(fraction, count):
    network = build(Network(width=0.35), 3, 32)
    parted = blocks.blocks(network, "body")
    assert len(parted) == 18
    head = blocks.learning(network, "head", fraction)
    assert blocks.learning(network, "top", fraction) - head == {name for block in parted[-count:] for name in block}


def test_what_cannot_be_parted_is_one_error():
    statistics = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    with pytest.raises(EdgekdError, match="timm"):
        blocks.learning(PixelNetwork(nn.Sequential(nn.Conv2d(3, 4, 1)), 32, *statistics), "top", 0.3)
    headless = PixelNetwork(timm.create_model("resnet10t", num_classes=0), 32, *statistics)
    with pytest.raises(EdgekdError, match="a classifier after the backbone"):
        blocks.learning(headless, "head", 0.3)

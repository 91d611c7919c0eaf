"""Each network that reads pixels normalizes them as timm's configuration of its name says, alone or beside others."""

import pytest
import safetensors.torch
import timm
import torch

from edgekd.networks import PixelNetwork, build, cost
from edgekd.networks.normalization import Branch
from edgekd.networks.published import published
from edgekd.recipe import Network

HALF, IMAGENET = (0.5, 0.5, 0.5), (0.485, 0.456, 0.406)
PIXELS = torch.randint(0, 256, (2, 3, 64, 64), generator=torch.Generator().manual_seed(0)).float()


@pytest.fixture(scope="module")
def hybrid():
    options = {"backbone": "mobilenetv2_035", "vit": "vit_tiny_patch16_224", "hidden": 16}
    return build(Network(network="hybrid_cnn_vit", options=options), 3, 64).eval()


def alone(branch, mean, std):
    """The stand-alone network of a branch: the same weights, normalized with the numbers given here."""
    return PixelNetwork(branch.body, 64, mean, std).eval()


@torch.inference_mode()
def test_each_branch_of_a_hybrid_sees_what_its_network_sees_alone(hybrid):
    assert (hybrid.mean, hybrid.std) == ((0, 0, 0), (1, 1, 1))
    vit, cnn = hybrid.body.encoder, hybrid.body.backbone
    expected = alone(vit, HALF, HALF)(PIXELS)
    assert torch.allclose(vit(PIXELS / 255), expected, atol=1e-5)
    assert not torch.allclose(alone(vit, IMAGENET, (0.229, 0.224, 0.225))(PIXELS), expected, atol=1e-2)
    assert torch.allclose(cnn(PIXELS / 255), alone(cnn, IMAGENET, (0.229, 0.224, 0.225))(PIXELS), atol=1e-5)
    features = torch.cat([cnn.forward_features(PIXELS / 255).mean((2, 3)), expected], dim=1)
    assert torch.allclose(hybrid(PIXELS), hybrid.body.head(features), atol=1e-5)


def test_a_hybrid_has_the_parameters_of_its_branches_and_head(hybrid):
    cnn, vit = (timm.create_model(name, num_classes=0) for name in ("mobilenetv2_035", "vit_tiny_patch16_224"))
    resized = (14 * 14 - 4 * 4) * 192  # position embeddings that 64 px do not need
    width = 1280 + 192
    head = 2 * width + (width + 1) * 16 + (16 + 1) * 3
    assert cost.parameters(hybrid) == cost.parameters(cnn) + cost.parameters(vit) - resized + head


def test_the_statistics_of_the_branches_travel_with_the_weights(hybrid):
    state = hybrid.body.state_dict()
    assert state["encoder.mean"].flatten().tolist() == list(HALF)
    assert state["backbone.mean"].flatten().tolist() == pytest.approx(IMAGENET)
    other = Branch(published("mobilenetv2_035", 0, 64, False))
    other.load_state_dict({**other.state_dict(), "mean": torch.ones(1, 3, 1, 1)})
    assert other.mean.tolist() == torch.ones(1, 3, 1, 1).tolist()


@pytest.mark.parametrize(
    ("name", "mean"),
    [
        ("vit_tiny_patch16_224", HALF),
        ("deit_tiny_patch16_224", IMAGENET),
        ("mobilenetv2", IMAGENET),
        ("inception_v3.tf_in1k", HALF),
    ],
)
def test_weights_of_a_file_are_normalized_as_the_networks_name_says(tmp_path, name, mean):
    size = 96
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file(build(Network(network=name), 5, size).body.state_dict(), path)
    assert build(Network(network=name, weights=str(path)), 3, size).mean == mean

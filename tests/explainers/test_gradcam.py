"""Grad-CAM against CAM, captum, and what a transformer needs."""

import pytest
import timm
import torch
from captum.attr import LayerGradCam
from torch import nn

from edgekd.errors import EdgekdError
from edgekd.explainers.gradcam import gradcam
from edgekd.networks import PixelNetwork, build, taps
from edgekd.quantization.fake import FakeQuantNetwork
from edgekd.quantization.folding import fold_normalization
from edgekd.quantization.lowering import lower
from edgekd.recipe import Network

CLASSES = torch.tensor([2, 0])
SIZE = 64


def views(size=SIZE):
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 255


def network(name="mobilenetv2", size=SIZE, **options):
    torch.manual_seed(1)
    found = build(Network(network=name, options=options), 3, size).double()
    for parameter in found.parameters():
        nn.init.normal_(parameter, std=0.1) if parameter.ndim == 1 else None
    return found.eval()


@pytest.mark.parametrize("name", ["mobilenetv2", "efficientnet_lite0"])
def test_of_convolution_average_linear_it_is_cam_over_the_positions(name):
    """CAM: the classifier's weights instead of its layer's mean input on every position (Zhou et al., 2016)."""
    asked = network(name)
    maps = taps.outputs(asked, views(), ["last"]).features["last"]
    cam = torch.einsum("bchw,bc->bhw", maps, asked.body.classifier.weight[CLASSES])
    found = gradcam(asked, views(), CLASSES, rectify=False)
    torch.testing.assert_close(found, cam / maps[0, 0].numel(), rtol=1e-12, atol=1e-15)
    assert torch.equal(gradcam(asked, views(), CLASSES), found.clamp(min=0))
    logits = asked(views())[range(2), CLASSES] - asked.body.classifier.bias[CLASSES]
    torch.testing.assert_close(cam.mean((1, 2)), logits, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("tap", "module"), [("stage3", "layer3"), ("last", "layer4")])
def test_equals_captum(tap, module):
    asked = network("resnet18")
    explainer = LayerGradCam(asked, asked.body.get_submodule(module))
    expected = explainer.attribute(views(), CLASSES, relu_attributions=True)[:, 0]
    torch.testing.assert_close(gradcam(asked, views(), CLASSES, tap), expected, rtol=1e-10, atol=1e-15)


VIT = {"depth": 4, "embed_dim": 16, "num_heads": 2, "patch_size": 8}


@pytest.mark.parametrize(("tap", "block"), [("stage2", 1), ("last", 2)])
def test_of_a_transformer_it_is_that_of_its_patches(tap, block):
    """`last` is what the last block reads."""
    asked = network("vit_tiny_patch16_224", **VIT)
    kept = []
    handle = asked.body.blocks[block].register_forward_hook(lambda module, given, made: kept.append(made))
    logits = asked(views())
    handle.remove()
    (slopes,) = torch.autograd.grad(logits[range(2), CLASSES].sum(), kept[0])
    expected = (slopes[:, 1:].mean(1, keepdim=True) * kept[0][:, 1:]).sum(2).unflatten(1, (8, 8)).relu()
    torch.testing.assert_close(gradcam(asked, views(), CLASSES, tap), expected, rtol=1e-12, atol=1e-15)
    assert expected.abs().sum() > 0


def test_of_a_frozen_network_and_of_the_int8_graph():
    asked = network()
    expected = gradcam(asked, views(), CLASSES)
    torch.testing.assert_close(gradcam(asked.requires_grad_(False), views(), CLASSES), expected)
    graph = FakeQuantNetwork(fold_normalization(lower(asked.float().requires_grad_(True)))).eval()
    assert gradcam(graph, views().float(), CLASSES).shape == expected.shape


def test_the_gradient_by_the_parameters_is_that_of_differences():
    asked = network("vit_tiny_patch16_224", size=32, **VIT)
    looked_at = torch.randn(2, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(5))

    def value(create_graph=False):
        return (looked_at * gradcam(asked, views(32), CLASSES, "last", create_graph, rectify=False)).sum()

    parameter = asked.body.blocks[1].mlp.fc1.weight
    (slopes,) = torch.autograd.grad(value(create_graph=True), parameter)
    direction, step = torch.randn_like(parameter), 1e-5
    with torch.no_grad():
        up = (parameter.add_(step * direction), value())[1]
        down = (parameter.add_(-2 * step * direction), value())[1]
    assert float((slopes * direction).sum()) == pytest.approx(float(up - down) / (2 * step), rel=1e-5)


def test_what_the_logits_do_not_hear_is_refused():
    asked = network("vit_tiny_patch16_224", **VIT)
    with pytest.raises(EdgekdError, match=r"(?s)tap 'stage4'.*before the last block.*stage3"):
        gradcam(asked, views(), CLASSES, "stage4")
    swin = timm.create_model("swin_tiny_patch4_window7_224", img_size=64, num_classes=3, depths=(1, 1, 1, 1))
    body = PixelNetwork(swin, 64, (0.5,) * 3, (0.5,) * 3).double()
    with pytest.raises(EdgekdError, match=r"(?s)tap 'last'.*that the logits are made of"):
        gradcam(body.eval(), views(), CLASSES)

"""bfloat16 is for devices that compute it: elsewhere it is imitated, several times slower than float32."""

import contextlib

import pytest
import torch

from edgekd.explainers.lrp import relevance
from edgekd.networks import build, precision
from edgekd.recipe import Network

CPU = torch.device("cpu")


@pytest.mark.parametrize(("bf16", "expected"), [(True, torch.bfloat16), (False, None)])
def test_a_processor_without_bfloat16_takes_float32(monkeypatch, bf16, expected):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: bf16, raising=False)
    assert precision.autocast_dtype("bf16", CPU) is expected
    assert precision.autocast_dtype("auto", CPU) is None
    assert precision.autocast_dtype("fp32", CPU) is None


@pytest.mark.parametrize(
    ("kernel", "stride", "groups", "in_float32"),
    [(3, 2, 8, True), (5, 1, 8, True), (3, 1, 8, False), (3, 2, 4, False), (5, 2, 1, False)],
)
def test_depthwise_convolutions_with_a_slow_gradient_are_of_float32_and_no_others(kernel, stride, groups, in_float32):
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(8, 8, kernel, stride, padding=1, groups=groups)
    x = torch.randn(2, 8, 9, 9).bfloat16().requires_grad_()
    with precision.autocast(CPU, torch.bfloat16):
        found = layer(x)
        with torch.autocast("cpu", enabled=False):
            apart = layer(x.float())
    assert found.dtype is torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16, enabled=not in_float32):
        expected = layer(x.float() if in_float32 else x)
    assert torch.equal(found, expected.bfloat16())
    assert torch.equal(apart, layer(x.float()))  # float32 where autocast is off
    weights = torch.randn(found.shape)
    parts = [torch.autograd.grad((y.float() * weights).sum(), (x, *layer.parameters())) for y in (found, expected)]
    tolerance = 2**-7 if in_float32 else 0.0  # what bfloat16 rounds in the gradient that goes in
    for one, other in zip(*parts, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance * float(other.abs().max()))


def test_attention_is_of_float32_while_training():
    torch.manual_seed(0)
    given = [torch.randn(2, 3, 10, 16).bfloat16() for _ in range(3)]
    with precision.autocast(CPU, torch.bfloat16):
        found = torch.nn.functional.scaled_dot_product_attention(*given, dropout_p=0.0)
        with torch.autocast("cpu", enabled=False):
            apart = torch.nn.functional.scaled_dot_product_attention(*given)
    expected = torch.nn.functional.scaled_dot_product_attention(*[x.float() for x in given])
    assert torch.equal(found, expected.bfloat16())
    assert torch.equal(apart, torch.nn.functional.scaled_dot_product_attention(*given))


@pytest.mark.parametrize("layer", [torch.nn.ReLU6, torch.nn.ReLU, torch.nn.SiLU, torch.nn.Hardswish])
@pytest.mark.parametrize(
    ("dtype", "learns", "in_place"),
    [
        (torch.bfloat16, True, False),
        (torch.bfloat16, False, False),
        (None, True, False),
        (None, False, True),
    ],
)
def test_only_what_answers_in_float32_works_in_place(layer, dtype, learns, in_place):
    torch.manual_seed(0)
    given = (torch.randn(2, 4, 5, 5) * 4).to(dtype or torch.float32)
    overwritten = given.clone()
    with precision.autocast(CPU, dtype), torch.set_grad_enabled(learns):
        found = layer(inplace=True)(overwritten)
    assert torch.equal(found, layer()(given))
    assert torch.equal(overwritten, found if in_place else given)


def test_gradients_of_what_is_not_done_in_place_are_the_same_to_the_bit():
    network = build(Network(network="mobilenetv2", width=0.35), 4, 32).train()
    views = (torch.rand(4, 3, 32, 32) * 255).contiguous(memory_format=torch.channels_last)
    assert sum(getattr(layer, "inplace", False) for layer in network.modules()) > 30
    gradients = []
    for context in (contextlib.nullcontext(), precision.autocast(CPU, None)):
        torch.manual_seed(0)  # of dropout
        with context:
            logits = network(views)
        gradients.append(torch.autograd.grad(logits.square().mean(), list(network.parameters())))
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))


def test_relevance_inside_a_step_is_of_float32_as_elsewhere():
    torch.manual_seed(0)
    network = build(Network(network="mobilenetv2", width=0.35), 4, 32).eval()
    views, classes = torch.rand(2, 3, 32, 32) * 255, torch.tensor([0, 2])
    expected = relevance(network, views, classes, create_graph=True)
    with precision.autocast(CPU, torch.bfloat16):
        found = relevance(network, views, classes, create_graph=True)
    assert torch.equal(found, expected)


def test_a_step_in_bfloat16_learns_what_one_in_float32_does():
    torch.manual_seed(0)
    # In eval mode: a batch's own statistics of so few pixels are chance.
    network = build(Network(network="efficientnet_lite0", width=0.5), 4, 32).eval()
    views = (torch.rand(8, 3, 32, 32) * 255).contiguous(memory_format=torch.channels_last)
    gradients = []
    for dtype in (None, torch.bfloat16):
        with precision.autocast(CPU, dtype):
            logits = network(views)
        found = torch.autograd.grad(logits.float().square().mean(), list(network.parameters()))
        gradients.append(torch.cat([g.flatten() for g in found]))
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.99

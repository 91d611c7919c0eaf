"""Fake quantization: gradients by hand, and the very codes that the integers give."""

import numpy as np
import pytest
import torch

from edgekd.networks import build
from edgekd.quantization import integers, ranges, reference
from edgekd.quantization.fake import FakeQuantNetwork, LearntRange
from edgekd.quantization.folding import fold_normalization
from edgekd.quantization.graph import LOW, Grid
from edgekd.quantization.lowering import lower
from edgekd.recipe import Network


@pytest.fixture(scope="module")
def trained_enough():
    """A narrow MobileNetV2 whose statistics were shown some images, at 48 px; pixels [8, 48, 48, 3]."""
    torch.manual_seed(0)
    images = np.random.default_rng(1).integers(0, 256, (8, 6, 6, 3), dtype=np.uint8).repeat(8, 1).repeat(8, 2)
    views = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    network = build(Network(width=0.35, options={"drop_rate": 0.0}), 4, 48).train()
    for _ in range(20):
        network(views)
    torch.nn.init.normal_(network.body.classifier.weight, std=0.5)
    return FakeQuantNetwork(fold_normalization(lower(network.eval()))).eval(), views, images


def quantized(network, views):
    network.set_ranges(ranges.running(network, [views]))
    return network


def test_in_float_it_is_the_graph(trained_enough):
    network, views, images = trained_enough
    network.quantizing = False
    plain = reference.logits(_float(network), images)
    with torch.inference_mode():
        assert network(views).numpy() == pytest.approx(plain, abs=1e-4)


def _float(network):
    from edgekd.quantization.graph import Graph

    arrays = {}
    for node, layer in zip(network.structure[1:], network.layers, strict=True):
        if hasattr(layer, "weight"):
            arrays[f"{node.name}.weight"] = layer.layout(layer.weight.detach().numpy())
            arrays[f"{node.name}.bias"] = layer.bias.detach().numpy()
    return Graph(network.structure, arrays)


def test_logits_are_on_the_grid_of_the_output(trained_enough):
    network, views, _ = trained_enough
    step = quantized(network, views).graph().output.grid.scale
    with torch.inference_mode():
        found = network(views).numpy()
    assert np.abs(found / step - np.rint(found / step)).max() < 1e-3
    assert len(np.unique(np.rint(found / step))) > 8


def test_every_node_is_that_of_the_graph_and_of_exact_integers(trained_enough):
    """Node by node from the same codes, as random weights amplify a rounding that another order of float32 sums turns."""
    network, views, images = trained_enough
    graph = quantized(network, views).graph()
    values = reference.run(graph, images)
    codes = {node.name: node.grid.codes(values[node.name]) for node in graph.nodes}
    total, differing = 0, {"integers": 0, "fake": 0}
    for node, layer, learnt in zip(graph.nodes[1:], network.layers, network.ranges, strict=True):
        exact = integers.apply(graph, node, [codes[name] for name in node.inputs])
        fake = node.grid.codes(by_fake_quantization(layer, learnt, node, graph, values))
        for name, found in (("integers", exact), ("fake", fake)):
            change = np.abs(found.astype(int) - codes[node.name])
            assert change.max() <= 1, (node.name, name)
            differing[name] += int((change > 0).sum())
        total += codes[node.name].size
    assert max(differing.values()) <= 1e-5 * total, differing


@torch.inference_mode()
def by_fake_quantization(layer, learnt, node, graph, values):
    given = [torch.from_numpy(values[name]) for name in node.inputs]
    planes = [v.permute(0, 3, 1, 2) if v.ndim == 4 else v for v in given]
    real = layer(*planes, torch.tensor(graph.grid(node.inputs[0]).scale, dtype=torch.float32))
    found = learnt.quantize(real, *learnt.parameters_of_grid())
    return (found.permute(0, 2, 3, 1) if found.ndim == 4 else found).numpy()


def test_the_graph_holds_the_scheme(trained_enough):
    network, views, _ = trained_enough
    graph = quantized(network, views).graph()
    for node in graph.nodes[1:]:
        if getattr(node, "activation", "none") != "none":
            assert node.grid.zero_point == LOW
            assert node.grid.scale <= np.float32(6 / 255) * (1 + 1e-6)
        if f"{node.name}.weight" in graph.arrays:
            weight = graph.weight(node)
            axes = (0, 1) if weight.ndim == 3 else tuple(range(1, weight.ndim))
            assert (np.abs(weight.astype(int)).max(axes) <= 127).all()
            assert np.mean(np.abs(weight.astype(int)).max(axes) == 127) > 0.9


def test_gradients_of_values_and_range_by_hand():
    learnt = LearntRange("none")
    learnt.set(-1.0, 2.0)
    x = torch.tensor([-3.0, -1.004, -0.5, 0.0, 1.9, 2.5, 7.0], requires_grad=True)
    scale, zero_point = learnt.parameters_of_grid()
    assert scale.item() == pytest.approx(3 / 255)
    y = learnt.quantize(x, scale, zero_point)
    weights = torch.tensor([1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6])
    (y * weights).sum().backward()
    # -1.004 is less than half a step outside: it rounds to the last code and is not clipped.
    assert x.grad.tolist() == [0, 10, 100, 1e3, 1e4, 0, 0]
    assert learnt.low.grad.item() == 1
    assert learnt.high.grad.item() == 1.1e6


def test_after_relu6_the_grid_is_the_activation():
    learnt = LearntRange("relu6")
    learnt.set(-4.0, 9.0)  # the range of what came before; the grid ends at 0 and 6
    scale, zero_point = learnt.parameters_of_grid()
    assert (scale.item(), zero_point.item()) == (pytest.approx(6 / 255), -128)
    x = torch.tensor([-2.0, 3.0, 8.0], requires_grad=True)
    y = learnt.quantize(x, scale, zero_point)
    assert y.tolist() == pytest.approx([0, 3, 6], abs=6 / 509)
    y.sum().backward()
    assert x.grad.tolist() == [0, 1, 0]
    assert not learnt.low.requires_grad


@pytest.mark.parametrize(
    ("activation", "low", "high"),
    [("none", -1.3, 2.1), ("none", 0.0, 2.0), ("none", -3.0, 0.0), ("relu", 0.0, 1.7), ("relu6", 0.0, 6.0)],
)
def test_processors_round_as_the_operator_of_other_devices_does(activation, low, high):
    from edgekd.quantization.fake import _Quantize, _QuantizeAtOnce

    generator = torch.Generator().manual_seed(0)
    values = 2.5 * torch.randn(4, 6, 9, 9, generator=generator)
    learnt = LearntRange(activation)
    learnt.set(low, high)
    scale, zero_point = learnt.parameters_of_grid()
    halves = (torch.arange(-300, 300) + 0.5) * scale  # where rounding has to choose
    values.view(-1)[: len(halves)] = halves
    weights = torch.randn(values.shape, generator=generator)
    found = []
    for rounding in (_Quantize, _QuantizeAtOnce):
        learnt.zero_grad()
        x = values.clone().contiguous(memory_format=torch.channels_last).requires_grad_()
        y = rounding.apply(x, learnt.low, learnt.high, scale, zero_point)
        (y * weights).sum().backward()
        bounds = [p.grad.item() for p in learnt.parameters() if p.requires_grad]
        found.append((y.detach(), x.grad, bounds))
    (y, gradient, bounds), (expected, expected_gradient, expected_bounds) = found
    assert torch.equal(y, expected)
    assert torch.equal(gradient, expected_gradient)
    assert gradient.count_nonzero() > 100
    assert bounds == pytest.approx(expected_bounds, rel=1e-5, abs=1e-4)  # sums, in any order
    assert [b == 0 for b in bounds] == [b == 0 for b in expected_bounds]


def test_a_dead_channel_keeps_its_bias():
    from edgekd.quantization.fake import _Linear

    layer = _Linear(np.float32([[1e-12, -1e-12], [0.5, 0.25], [0, 0]]), np.float32([3.0, -1.0, 0.0]))
    input_scale = torch.tensor(0.02)
    codes = layer.codes(input_scale)
    assert codes["weight"].tolist() == [[0, 0], [127, 64], [0, 0]]
    real = codes["bias"] * (0.02 * codes["weight_scale"].astype(np.float64))
    assert real == pytest.approx([3.0, -1.0, 0.0], rel=1e-3)
    assert (codes["weight_scale"] > 0).all()


def test_grids_always_hold_zero():
    for low, high in ((0.5, 2.0), (-3.0, -1.0), (-1.0, 1.0), (0.0, 0.0)):
        learnt = LearntRange("none")
        learnt.set(low, high)
        scale, zero_point = learnt.parameters_of_grid()
        grid = Grid(scale=float(scale), zero_point=int(zero_point))
        assert grid.real(grid.codes(np.zeros(1)))[0] == 0


def test_only_a_bare_float_graph_is_taken(trained_enough):
    network, views, _ = trained_enough
    with pytest.raises(ValueError, match="float graph"):
        FakeQuantNetwork(quantized(network, views).graph())

"""Relevance against zennit, by hand, and by what must hold of it: nothing is lost, and its gradient is that of differences."""

import copy
import functools
import types

import numpy as np
import pytest
import timm
import torch
import zennit.composites
from timm.layers import BatchNormAct2d
from timm.models._efficientnet_blocks import DepthwiseSeparableConv, InvertedResidual
from timm.models.resnet import BasicBlock
from torch import nn
from torch.nn import functional
from zennit.attribution import Gradient
from zennit.canonizers import SequentialMergeBatchNorm
from zennit.layer import Sum

from edgekd.errors import EdgekdError
from edgekd.explainers.lrp import relevance, rules
from edgekd.explainers.lrp.composites import COMPOSITES
from edgekd.networks import PixelNetwork, build
from edgekd.networks.normalization import Branch
from edgekd.recipe import Network

MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.3, 0.2)
CLASSES = torch.tensor([0, 2])


def pixel_network(body, size, mean=MEAN, std=STD):
    return PixelNetwork(body, size, mean, std).double().eval()


def views(size, count=2, seed=0):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 255


class Tiny(nn.Module):
    """Every kind of step: convolutions with normalization, a residual, a gate, windows, pooling, a head."""

    def __init__(self, bias=True):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1, bias=bias), nn.BatchNorm2d(4), nn.ReLU6())
        self.deep = nn.Sequential(nn.Conv2d(4, 4, 3, 1, 1, groups=4, bias=bias), nn.BatchNorm2d(4), nn.SiLU())
        self.pool, self.gate = nn.MaxPool2d(2), nn.Conv2d(4, 4, 1)
        self.last = nn.Conv2d(4, 8, 1, bias=bias)
        self.head = nn.Linear(8, 3, bias=bias)

    def forward(self, x):
        x = self.stem(x)
        x = x + self.deep(x)
        x = x * self.gate(x.mean((2, 3), keepdim=True)).sigmoid()
        return self.head(functional.gelu(self.last(self.pool(x))).mean((2, 3)))


def settled(body, size):
    """With batch normalization that has something to fold."""
    torch.manual_seed(1)
    for module in body.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
            module.momentum = 1.0
    network = pixel_network(body, size).train()
    with torch.no_grad():
        network(views(size, 8, seed=1))
    return network.eval()


def for_zennit(body):
    """A copy whose sums and activations are modules."""
    body = copy.deepcopy(body)
    for module in list(body.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, BatchNormAct2d):
                bn = nn.BatchNorm2d(child.num_features, child.eps).double()
                bn.load_state_dict(child.state_dict())
                setattr(module, name, nn.Sequential(bn, child.act).eval())
        if isinstance(module, BasicBlock):
            module.sum, module.forward = Sum(), types.MethodType(of_resnet, module)
        elif isinstance(module, InvertedResidual | DepthwiseSeparableConv) and module.has_skip:
            steps = [child for name, child in module.named_children() if name != "drop_path"]
            module._modules = {"steps": nn.Sequential(*steps), "sum": Sum()}
            module.forward = types.MethodType(of_mobilenet, module)
    return body.eval()


def of_resnet(block, x):
    shortcut = x if block.downsample is None else block.downsample(x)
    x = block.bn2(block.conv2(block.act1(block.bn1(block.conv1(x)))))
    return block.act2(block.sum(torch.stack([x, shortcut], dim=-1)))


def of_mobilenet(block, x):
    return block.sum(torch.stack([block.steps(x), x], dim=-1))


def by_zennit(network, x, classes, composite):
    pixels = network.normalized(x)
    options = {"canonizers": [SequentialMergeBatchNorm()]}
    if composite == "epsilon_gamma_box":
        options |= {
            "low": network.normalized(torch.zeros_like(x)),
            "high": network.normalized(255 * torch.ones_like(x)),
        }
    rules = zennit.composites.COMPOSITES[composite](**options)
    body = for_zennit(network.body)
    with Gradient(model=body, composite=rules) as attributor:
        for module in body.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = 0.0  # is merged already
        onehot = torch.eye(3, dtype=torch.float64)[classes]
        logits, found = attributor(pixels.requires_grad_(), lambda output: output * onehot)
    assert torch.allclose(logits, network(x), rtol=1e-6)
    return found.sum(1)


@functools.cache
def published(name):
    return settled(timm.create_model(name, num_classes=3), 64)


@pytest.mark.parametrize("composite", ["epsilon_gamma_box", "epsilon_plus", "epsilon_alpha2_beta1"])
@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2_100"])
def test_equals_zennit(name, composite):
    network, x = published(name), views(64)
    found, expected = relevance(network, x, CLASSES, composite), by_zennit(network, x, CLASSES, composite)
    assert found.shape == (2, 64, 64)
    assert (found - expected).norm() < 1e-4 * expected.norm()


@pytest.mark.parametrize(
    ("rule", "x", "weight", "expected"),
    [
        (rules.epsilon, (2, 1), (3, -1), (6, -1)),
        (rules.gamma, (2, 1), (3, -1), (5 * 7.5 / 6.5, -5 / 6.5)),  # w + γ w⁺ = (3.75, -1)
        (rules.gamma, (1, 2), (1, -2), (0.75, -3.75)),  # z = -3 is negative: w + γ w⁻ = (1, -2.5)
        (rules.gamma, (-1, 2), (-2, 1), (5 * 2.5 / 5 * 0.8, 4 * 0.5)),  # both contributions are positive: (2, 2) of 4
        (rules.alpha1_beta0, (2, 1), (3, -1), (5, 0)),
        (rules.alpha2_beta1, (2, 1), (3, -1), (10, -5)),
        (rules.box(torch.tensor([[-1.0, -1.0]]), torch.tensor([[3.0, 3.0]])), (2, 1), (3, -1), (45 / 11, 10 / 11)),
    ],
)
def test_rules_by_hand(rule, x, weight, expected):
    """The relevance of an output is the output."""
    x, weight = torch.tensor([x]).float(), torch.tensor([weight]).float()
    found = rule(rules.Layer(functional.linear, weight, None), x, functional.linear(x, weight))
    assert found[0].tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("composite", ["epsilon", "epsilon_gamma_box"])  # the others keep what is all of one sign
def test_without_biases_nothing_is_lost(composite, monkeypatch):
    monkeypatch.setattr(rules, "EPSILON", 1e-300)
    network = settled(Tiny(bias=False), 16)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.zeros_(module.bias)
            nn.init.zeros_(module.running_mean)
    x = views(16)
    logits = network(x)[range(2), CLASSES]
    assert relevance(network, x, CLASSES, composite).sum((1, 2)).tolist() == pytest.approx(logits.tolist(), rel=1e-11)


def test_the_attention_is_a_constant_mixing_matrix(monkeypatch):
    """Logit c is the mean over positions of Σ_s A_ts v_sc, so position s has v_sc Σ_t A_ts / T of it."""
    monkeypatch.setattr(rules, "EPSILON", 1e-300)

    class Mixing(nn.Module):
        def __init__(self):
            super().__init__()
            self.query, self.key = (nn.Parameter(torch.randn(1, 16, 5)) for _ in range(2))

        def forward(self, x):
            return functional.scaled_dot_product_attention(self.query, self.key, x.flatten(2).mT).mean(1)

    torch.manual_seed(0)
    network, x = pixel_network(Mixing(), 4), views(4)
    q, k = network.body.query.detach().numpy()[0], network.body.key.detach().numpy()[0]
    scores = np.exp(q @ k.T / np.sqrt(5))
    share = (scores / scores.sum(1, keepdims=True)).mean(0).reshape(4, 4)
    chosen = network.normalized(x).numpy()[[0, 1], CLASSES]
    assert relevance(network, x, CLASSES).detach().numpy() == pytest.approx(chosen * share, rel=1e-9)


def vit():
    torch.manual_seed(3)
    body = timm.models.VisionTransformer(img_size=16, patch_size=4, embed_dim=8, depth=2, num_heads=2, num_classes=3)
    return pixel_network(body, 16)


def test_attention_in_one_operator_and_in_steps_is_the_same():
    network, x = vit(), views(16)
    fused = relevance(network, x, CLASSES)
    for block in network.body.blocks:
        assert block.attn.fused_attn
        block.attn.fused_attn = False
    assert torch.allclose(relevance(network, x, CLASSES), fused, rtol=1e-6)
    assert fused.abs().sum() > 0


@pytest.mark.parametrize("composite", COMPOSITES)
@pytest.mark.parametrize(
    "make",
    [lambda: settled(Tiny(), 16), lambda: settled(Tiny(), 16).train(), vit],
    ids=["cnn", "cnn-training", "vit"],
)
def test_gradient_by_the_parameters_is_that_of_differences(make, composite):
    network, x = make(), views(16)
    looked_at = torch.randn(2, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    parameters = [p for p in network.parameters() if p.requires_grad]

    def value():
        return (looked_at * relevance(network, x, CLASSES, composite, create_graph=True)).sum()

    slopes = torch.autograd.grad(value(), parameters, allow_unused=True)
    step = 1e-8
    for slope, parameter in zip(slopes, parameters, strict=True):
        direction = torch.randn_like(parameter)

        def moved_by(steps, parameter=parameter, direction=direction):
            with torch.no_grad():
                parameter.add_(steps * step * direction)
            return value().detach()

        expected = float(moved_by(1) - moved_by(-2)) / (2 * step)
        moved_by(1)
        found = float((slope * direction).sum()) if slope is not None else 0.0
        assert found == pytest.approx(expected, rel=2e-4, abs=1e-5)


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_network_is_left_as_it_was_and_asked_as_in_evaluation_unless_its_relevance_is_trained(create_graph):
    network, x = settled(Tiny(), 16), views(16)
    by_hand = copy.deepcopy(network)
    network.train()
    network.body.stem.eval()  # does not learn: its statistics stand
    if create_graph:
        by_hand.body.deep[1].train().momentum = 1.0
        by_hand(x)
        by_hand.eval().body.deep[1].running_var *= (2 * 8 * 8 - 1) / (2 * 8 * 8)  # of this batch, not estimated from it
    expected, before = relevance(by_hand, x, CLASSES), copy.deepcopy(network.state_dict())
    assert torch.allclose(relevance(network, x, CLASSES, create_graph=create_graph), expected, rtol=1e-9)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert [m.training for m in (network, network.body.deep[1], network.body.stem, network.body.stem[1])] == [
        *(True, True, False, False)
    ]


def test_training_by_relevance_leaves_scales_alone_that_normalization_takes_out():
    """By running statistics it would pull at them: they would move at every step, and the statistics never catch up."""
    network, x = settled(Tiny(), 16), views(16)
    weight = network.body.deep[0].weight

    def pull():
        looked_at = torch.randn(2, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
        value = (looked_at * relevance(network, x, CLASSES, "epsilon", create_graph=True)).sum()
        (slope,) = torch.autograd.grad(value, [weight])
        along, weights = (slope * weight).sum((1, 2, 3)).abs().detach(), weight.detach()
        return float((along / (slope.flatten(1).norm(dim=1) * weights.flatten(1).norm(dim=1))).max())

    assert pull() > 0.05
    network.train()
    assert pull() < 1e-3


def test_a_normalization_inside_the_network_moves_the_bounds_of_pixels():
    """A branch takes pixels in 0..1 and normalizes them itself."""
    outside = settled(Tiny(), 16)
    branch = Branch(outside.body)
    branch.mean.copy_(torch.tensor(MEAN).view(1, 3, 1, 1))
    branch.std.copy_(torch.tensor(STD).view(1, 3, 1, 1))
    inside = pixel_network(branch, 16, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    x = views(16)
    assert torch.allclose(relevance(inside, x, CLASSES), relevance(outside, x, CLASSES), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(
    "network",
    [
        *(
            Network(network=name)
            for name in ("efficientnet_b0", "convnext_atto", "densenet121", "vit_tiny_patch16_224")
        ),
        Network(network="hybrid_cnn_vit", options={"backbone": "mobilenetv2_035", "depth": 1, "dim": 32, "heads": 2}),
    ],
    ids=lambda network: network.network,
)
def test_families_that_have_all_their_rules(network):
    found = relevance(build(network, 3, 64), views(64).float(), CLASSES)
    assert torch.isfinite(found).all()
    assert (found.abs().sum((1, 2)) > 0).all()


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (lambda x: x.cumsum(2), "operator 'cumsum'"),
        (lambda x: x * x.relu(), "a product of two tensors that depend on the input"),
        (lambda x: x / x.relu(), "division by what depends on the input"),
        (lambda x: x.sigmoid(), "logits that depend on the pixels"),
    ],
)
def test_what_has_no_rule_is_named(step, told):
    class Body(nn.Module):
        def forward(self, x):
            return step(x).mean((2, 3))

    with pytest.raises(EdgekdError, match=told):
        relevance(pixel_network(Body(), 4), views(4), CLASSES)


def test_an_unknown_composite_names_the_nearest():
    with pytest.raises(EdgekdError, match="did you mean 'epsilon_plus'"):
        relevance(settled(Tiny(), 16), views(16), CLASSES, "epsilon_pluss")

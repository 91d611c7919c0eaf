"""Taps: which a network has, their strides, and that tapping changes no logits."""

import pytest
import timm
import torch
from torch import nn

from edgekd.errors import EdgekdError
from edgekd.networks import PixelNetwork, build, taps
from edgekd.quantization.fake import FakeQuantNetwork
from edgekd.quantization.folding import fold_normalization
from edgekd.quantization.lowering import lower
from edgekd.recipe import Network

SIZE = 64
PYRAMID = {"stage1": 4, "stage2": 8, "stage3": 16, "stage4": 32, "last": 32}
TOKENS = {"stage1": 16, "stage2": 16, "stage3": 16, "stage4": 16, "last": 16}
NETWORKS = {  # name -> options, stride of the maps, whether it has attention
    "mobilenetv2": ({}, PYRAMID, False),
    "efficientnet_lite0": ({}, PYRAMID, False),
    "resnet18": ({}, PYRAMID, False),
    "densenet121": ({}, PYRAMID, False),
    "convnext_atto": ({}, PYRAMID, False),
    "vgg16": ({}, PYRAMID, False),
    "deit_tiny_patch16_224": ({"depth": 4}, TOKENS, True),
    "vit_tiny_patch16_224": ({"depth": 4, "global_pool": "avg"}, TOKENS, True),
    "neurotriad_vit": ({"depth": 4, "dim": 64, "heads": 2, "head_dim": 48}, TOKENS, True),
    "beit_base_patch16_224": ({"depth": 4, "embed_dim": 96, "num_heads": 3}, TOKENS, False),
    "hybrid_cnn_vit": ({"depth": 2, "dim": 32, "heads": 2, "hidden": 16}, PYRAMID, True),
    "swin_tiny_patch4_window7_224": ({"embed_dim": 24, "depths": (1, 1, 1, 1)}, PYRAMID, False),
}


def made(name, size=SIZE):
    torch.manual_seed(0)
    return build(Network(network=name, options=NETWORKS[name][0]), 5, size).eval()


def views(count=2, size=SIZE):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(1)) * 255


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_names_and_strides(name):
    size = 224 if name.startswith("swin") else SIZE
    network, (_, strides, attends) = made(name, size), NETWORKS[name]
    names = taps.names_of(network)
    assert names == (*strides, "embedding", *(["attention"] if attends else []))
    x = views(1, size)
    found = taps.outputs(network, x, names)
    sides = {tap: found.features[tap].shape[2:] for tap in strides}
    assert sides == {tap: (size // stride,) * 2 for tap, stride in strides.items()}
    torch.testing.assert_close(found.logits, network(x))
    classifier = network.body.get_classifier()
    torch.testing.assert_close(classifier(found.features["embedding"]), found.logits)
    shapes = taps.shapes(network, size, names)
    assert shapes.pop("logits") == (5,)
    assert shapes == {tap: feature.shape[1:] for tap, feature in found.features.items()}
    assert not network.training


@pytest.mark.parametrize("name", ["mobilenetv2", "resnet18", "convnext_atto"])
@torch.no_grad()
def test_the_embedding_is_the_mean_of_the_last_map(name):
    found = taps.outputs(made(name), views(), ["last", "embedding"]).features
    mean = found["last"].mean((2, 3))
    if name.startswith("convnext"):  # its head normalizes first
        mean = nn.functional.layer_norm(mean, mean.shape[1:], eps=1e-6)
    torch.testing.assert_close(found["embedding"], mean)


@torch.no_grad()
def test_the_last_map_of_a_vit_is_its_tokens_without_the_class_token():
    network = made("deit_tiny_patch16_224")
    tokens = network.body.forward_features(network.normalized(views()))
    found = taps.outputs(network, views(), ["last", "embedding"]).features
    assert torch.equal(found["last"].flatten(2).transpose(1, 2), tokens[:, 1:])
    assert torch.equal(found["embedding"], tokens[:, 0])


@pytest.mark.parametrize("name", ["deit_tiny_patch16_224", "neurotriad_vit"])
@torch.no_grad()
def test_the_attention_is_what_the_last_block_computes(name):
    network, seen = made(name), {}
    hook = network.body.blocks[-1].attn.qkv.register_forward_hook(lambda _, __, output: seen.update(qkv=output))
    network(views())
    hook.remove()
    found = taps.outputs(network, views(), ["attention"]).features["attention"]
    heads = network.body.blocks[-1].attn.num_heads
    assert found.shape[:4] == (2, 3, heads, 16)
    by_token = found.permute(0, 3, 1, 2, 4).flatten(2)
    torch.testing.assert_close(by_token, seen["qkv"][:, 1:])


@torch.no_grad()
def test_the_attention_of_a_hybrid_is_that_of_its_encoders_last_block():
    network, seen = made("hybrid_cnn_vit"), {}
    block = network.body.encoder.blocks[-1]
    hook = block.attn.qkv.register_forward_hook(lambda _, __, out: seen.update(qkv=out))
    network(views())
    hook.remove()
    found = taps.outputs(network, views(), ["attention"]).features["attention"]
    positions = network.body.encoder.position.shape[1] - 1
    assert found.shape == (2, 3, 2, positions, 16)
    torch.testing.assert_close(found.permute(0, 3, 1, 2, 4).flatten(2), seen["qkv"][:, 1:])


@torch.no_grad()
def test_the_stages_of_a_vit_are_quarters_of_its_depth():
    body = timm.create_model("vit_tiny_patch16_224", depth=8, img_size=32, num_classes=0).eval()
    x = torch.rand(1, 3, 32, 32)
    found = taps.outputs(body, x, ["stage1", "stage4"]).features
    tokens = body._pos_embed(body.patch_embed(x))
    for index, block in enumerate(body.blocks, start=1):
        tokens = block(tokens)
        if index in (2, 8):
            expected = tokens[:, 1:].transpose(1, 2).unflatten(2, (2, 2))
            torch.testing.assert_close(found[f"stage{index // 2}"], expected)


@pytest.mark.parametrize(
    "name", sorted(NETWORKS.keys() - {"vgg16", "swin_tiny_patch4_window7_224"})
)  # slow, and as the others
def test_gradients_reach_the_network_from_every_tap(name):
    network = made(name)
    names = taps.names_of(network)
    found = taps.outputs(network, views(1), names)
    first = next(network.parameters())
    for tap in names:
        (gradient,) = torch.autograd.grad(
            found.features[tap].square().sum(), first, retain_graph=True, allow_unused=True
        )
        assert gradient is not None, tap


@pytest.mark.parametrize(
    ("name", "tap", "message"),
    [
        ("mobilenetv2", "stag3", "did you mean 'stage3'"),
        ("mobilenetv2", "attention", "taps of EfficientNet: stage1, .*, embedding"),
        ("hybrid_cnn_vit", "embeding", "did you mean 'embedding'"),
    ],
)
def test_an_unknown_tap_names_the_nearest(name, tap, message):
    with pytest.raises(EdgekdError, match=message):
        taps.outputs(made(name), views(1), [tap])


def test_a_vit_too_shallow_for_quarters_has_no_stages_and_one_block_no_attention():
    assert taps.names_of(made("hybrid_cnn_vit").body.backbone)[0] == "stage1"
    shallow = timm.create_model("vit_tiny_patch16_224", depth=2, img_size=32)
    assert taps.names_of(shallow) == ("last", "embedding", "attention")
    shallow = timm.create_model("vit_tiny_patch16_224", depth=1, img_size=32)
    assert taps.names_of(shallow) == ("last", "embedding")


def test_what_nobody_can_tap_has_no_taps():
    network = nn.Linear(2, 2)
    assert taps.names_of(network) == ()
    assert taps.outputs(network, torch.zeros(1, 2), []).logits.shape == (1, 2)
    with pytest.raises(EdgekdError, match="use a loss on logits"):
        taps.outputs(network, torch.zeros(1, 2), ["last"])


@pytest.mark.parametrize("size", [32, 64, 96])
@pytest.mark.parametrize("student", ["mobilenetv2", "efficientnet_lite0"])
@torch.no_grad()
def test_the_graph_of_quantization_has_the_taps_of_the_float_network(student, size):
    torch.manual_seed(0)
    body = build(Network(network=student), 5, size).body
    network = PixelNetwork(body, size, (0, 0, 0), (0.5, 0.4, 0.3)).eval()  # black borders, as the graph's are
    for module in network.modules():  # statistics and weights of their own, so that nothing folds by chance
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    graph = FakeQuantNetwork(fold_normalization(lower(network))).eval()
    assert graph.tap_names() == taps.names_of(network)
    pixels = views(2, size).round()  # the graph sees bytes
    expected = taps.outputs(network, pixels, taps.names_of(network))
    found = taps.outputs(graph, pixels, graph.tap_names())
    torch.testing.assert_close(found.logits, expected.logits, rtol=1e-3, atol=1e-4)
    for name, feature in expected.features.items():
        scale = float(feature.abs().max())
        assert (found.features[name] - feature).abs().max() < 1e-4 * scale, name

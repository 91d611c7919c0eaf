"""Real parameter and multiply-accumulate counts, weights that must fit, names that must exist."""

import pytest
import safetensors.torch
import timm
import torch
from timm.models import vision_transformer

from edgekd import recipe
from edgekd.errors import EdgekdError
from edgekd.networks import PixelNetwork, build, builders, check_network, cost, fitting, students
from edgekd.networks.weights import load_weights, read_weights
from edgekd.recipe import Network


@pytest.mark.parametrize(
    ("settings", "parameters", "macs_millions"),
    [
        (Network(network="mobilenetv2"), 2_228_996, 299.5),
        (Network(network="efficientnet_lite0"), 3_376_132, 383.9),
        (Network(network="neurotriad_vit"), 85_801_732, 16_847.7),
    ],
    ids=lambda x: getattr(x, "network", None),
)
def test_real_cost(settings, parameters, macs_millions):
    network = build(settings, 4, 224)
    assert cost.parameters(network) == parameters
    assert cost.macs(network, 224) / 1e6 == pytest.approx(macs_millions, abs=0.05)


def test_the_published_235_million_come_from_wide_heads():
    with torch.device("meta"):
        body = builders()["neurotriad_vit"](4, 224, 1.0, False, heads=8, head_dim=768, mlp_ratio=0.5)
    assert cost.parameters(body) == 234_598_660


def test_the_hybrid_of_efficientnet_b0_and_vit_b16_has_about_90_million():
    with torch.device("meta"):
        vit = {"backbone": "efficientnet_b0", "vit": "vit_base_patch16_224"}
        body = builders()["hybrid_cnn_vit"](4, 224, 1.0, False, **vit)
    assert cost.parameters(body) == 90_335_872  # 90.5 M in Zenodo 17494928


@pytest.mark.parametrize(
    "name", ["mobilenetv2", "efficientnet_lite0", "hybrid_cnn_vit", "neurotriad_vit", "vit_tiny_patch16_224"]
)
def test_every_family_takes_pixels_of_any_size(name):
    options = {"depth": 1} if "vit" in name else {}
    network = build(Network(network=name, options=options), 3, 64).eval()
    assert network(torch.rand(2, 3, 64, 64) * 255).shape == (2, 3)
    assert network(torch.rand(2, 3, 80, 80) * 255).shape == (2, 3)


@pytest.mark.parametrize("name", ["mobilenetv2", "efficientnet_lite0"])
def test_width_scales_parameters(name):
    narrow, wide = (cost.parameters(build(Network(network=name, width=w), 4, 32)) for w in (0.5, 1.0))
    assert narrow < 0.75 * wide


def test_normalization_is_inside():
    body = torch.nn.Identity()
    network = PixelNetwork(body, 2, (0.5, 0.25, 0.0), (0.5, 0.5, 1.0))
    out = network(torch.full((1, 3, 2, 2), 255.0))
    assert out[0, :, 0, 0].tolist() == pytest.approx([1.0, 1.5, 1.0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Network(network="mobilnetv2"), "did you mean 'mobilenetv2'"),
        (Network(network="mobilenetv2", options={"drop_rat": 0.1}), "did you mean 'drop_rate'|valid names: drop_rate"),
        (Network(network="vit_tiny_patch16_224", width=0.5), "width = 1.0"),
        (Network(network="neurotriad_vit", options={"heads": 7}), "heads divides"),
        (Network(network="neurotriad_vit", pretrained=True), "no published weights"),
        (Network(network="mobilenetv2", weights="none.safetensors"), "no such file"),
        (Network(weights="none.safetensors", weights_from="make them"), "to do:    make them; or pretrained = true"),
        (Network(network="hybrid_cnn_vit", options={"backbone": "hf-hub:timm/resnet18"}), "that timm defines"),
    ],
)
def test_wrong_settings_are_one_error(settings, message):
    with pytest.raises(EdgekdError, match=message):
        build(settings, 4, 32)


def test_weights_of_another_head_keep_the_body(tmp_path):
    donor = build(Network(width=0.35), 10, 32)
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file(donor.body.state_dict(), path)
    network = build(Network(width=0.35, weights=str(path)), 4, 32)
    assert torch.equal(network.body.conv_stem.weight, donor.body.conv_stem.weight)
    assert network.body.classifier.weight.shape == (4, 1280)


def test_a_backbone_alone_starts_a_hybrid(tmp_path):
    settings = Network(network="hybrid_cnn_vit", options={"backbone": "mobilenetv2_035", "depth": 1})
    import timm

    donor = timm.create_model("mobilenetv2_035", num_classes=7)
    path = tmp_path / "backbone.safetensors"
    safetensors.torch.save_file(donor.state_dict(), path)
    network = build(settings.model_copy(update={"weights": str(path)}), 4, 64)
    assert torch.equal(network.body.backbone.body.conv_stem.weight, donor.conv_stem.weight)


def test_a_transformer_takes_weights_of_another_image_size_as_timm_does(tmp_path):
    name = "deit_tiny_patch16_224"
    published = timm.create_model(name, img_size=64).state_dict()
    safetensors.torch.save_file(published, path := tmp_path / "w.safetensors")
    body = build(Network(network=name, weights=str(path)), 4, 96).body
    expected = vision_transformer.checkpoint_filter_fn(dict(published), timm.create_model(name, img_size=96))[
        "pos_embed"
    ]
    assert expected.shape == (1, 1 + 6 * 6, 192)
    torch.testing.assert_close(body.pos_embed, expected, rtol=0, atol=0)
    assert torch.equal(body.pos_embed[:, 0], published["pos_embed"][:, 0])  # the class token has no place
    with pytest.raises(EdgekdError, match="pos_embed"):  # a checkpoint is of one size
        load_weights(timm.create_model(name, img_size=96), path)


@pytest.mark.parametrize("shape", [(1, 15, 192), (1, 0, 192), (2, 17, 192), (1, 17, 96), (17, 192)])
def test_positions_on_no_square_do_not_fit(tmp_path, shape):
    published = timm.create_model("deit_tiny_patch16_224", img_size=64).state_dict() | {"pos_embed": torch.zeros(shape)}
    safetensors.torch.save_file(published, path := tmp_path / "w.safetensors")
    with pytest.raises(EdgekdError, match="pos_embed"):
        build(Network(network="deit_tiny_patch16_224", weights=str(path)), 4, 96)


def test_published_weights_win_over_a_file(monkeypatch):
    settings = recipe.load(None, ["student.weights=none.safetensors", "student.pretrained=true"]).student
    asked = []
    monkeypatch.setitem(
        students.BUILDERS, "mobilenetv2", lambda *given: asked.append(given[-1]) or torch.nn.Linear(1, 2)
    )
    monkeypatch.setattr(fitting, "require", lambda *_: None)
    check_network(settings, 32)
    build(settings, 2, 32)
    assert asked == [True]


def test_what_makes_the_weights_decides_nothing():
    told = Network(weights="w.safetensors", weights_from="python -m edgekd.train")
    assert told.model_dump() == Network(weights="w.safetensors").model_dump()


def test_a_checkpoint_with_another_head_is_an_error(tmp_path):
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file(build(Network(width=0.35), 10, 32).body.state_dict(), path)
    with pytest.raises(EdgekdError, match=r"classifier\.weight \(expected \(4, 1280\), found \(10, 1280\)\)"):
        load_weights(build(Network(width=0.35), 4, 32).body, path)


def test_pth_is_read_without_unpickling(tmp_path):
    state = build(Network(width=0.35), 4, 32).body.state_dict()
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}, "epoch": 3}, tmp_path / "w.pth")
    load_weights(build(Network(width=0.35), 4, 32).body, tmp_path / "w.pth")


class Trap:
    """Pickles to a call that leaves a trace."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_a_hostile_pickle_is_refused_and_does_nothing(tmp_path):
    torch.save({"state_dict": Trap(tmp_path / "trace")}, tmp_path / "w.pt")
    with pytest.raises(EdgekdError, match="tensors only"):
        read_weights(tmp_path / "w.pt")
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth", "w.bin"])
def test_malformed_weights_are_one_error(tmp_path, name):
    (tmp_path / name).write_bytes(b"not weights at all")
    with pytest.raises(EdgekdError, match=name):
        read_weights(tmp_path / name)


def test_imagenet_weights_load_strictly(shared):
    path = shared / "weights" / "mobilenetv2_100.imagenet.safetensors"
    body = build(Network(), 1000, 32).body
    load_weights(body, path)
    assert torch.equal(body.state_dict()["classifier.bias"], read_weights(path)["classifier.bias"])


@pytest.mark.parametrize("option", ["checkpoint_path", "cache_dir", "pretrained_cfg_overlay"])
def test_options_that_would_read_other_files_are_refused(option):
    with pytest.raises(EdgekdError, match=option):
        build(Network(network="resnet18", options={option: "/etc/passwd"}), 2, 32)

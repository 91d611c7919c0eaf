"""Every network of timm runs at the recipe's size, or one error says which sizes fit."""

from pathlib import Path

import pytest
import timm
import torch

from edgekd import networks
from edgekd.errors import EdgekdError
from edgekd.networks import build, check_network, fitting
from edgekd.recipe import Network

# Of each of timm's modules the network with the fewest parameters.
SMALLEST = set(Path(__file__).with_name("smallest_of_timm.txt").read_text().split())


def families():
    """One network for each of timm's modules; the first of a module that the list does not know."""
    for module in timm.list_modules():
        names = timm.list_models(module=module)
        yield next((name for name in names if name in SMALLEST), names[0])


def outcome(name, size):
    """ "" where the network gives logits, else the error that says why not."""
    try:
        with torch.device("meta"), torch.no_grad():
            network = build(Network(network=name), 3, size)
            assert network(torch.zeros(2, 3, size, size)).shape == (2, 3)
    except EdgekdError as e:
        return str(e)
    return ""


def walk(size, every=1):
    errors = {name: found for name in list(families())[::every] if (found := outcome(name, size))}
    assert len(errors) <= 6, errors
    for name, error in errors.items():
        assert f"network {name!r}" in error
        assert "to do:    for example --set input.size=" in error or "is built and gives logits" in error, error


def test_families_work_or_say_what_fits():
    walk(96, every=5)


@pytest.mark.slow
@pytest.mark.parametrize("size", [96, 160, 224])
def test_every_family_works_or_says_what_fits(size):
    walk(size)


@pytest.mark.parametrize("name", ["deit3_small_patch16_224", "swin_tiny_patch4_window7_224", "beit_base_patch16_224"])
def test_transformers_are_built_at_the_recipes_size(name):
    assert outcome(name, 96) == ""


@torch.inference_mode()
def test_a_transformer_at_another_size_gives_numbers():
    network = build(Network(network="xcit_nano_12_p8_224"), 3, 96).eval()
    logits = network(torch.rand(2, 3, 96, 96) * 255)
    assert logits.isfinite().all()
    assert not torch.equal(logits[0], logits[1])


@pytest.mark.parametrize(
    ("settings", "size", "message"),
    [
        (Network(network="vit_tiny_patch16_224"), 97, "fits: 96, 112, 128, 224 px.*97 px: patches of 16 px"),
        (Network(network="vit_tiny_patch16_224"), 97, "--set input.size=96"),
        (Network(network="neurotriad_vit", options={"depth": 1}), 100, "fits: 96, 112, 128.*patches of 16 px"),
        (Network(network="vit_small_patch14_dinov2"), 96, "fits: 84, 98, 112, 518 px"),
        (Network(network="hybrid_cnn_vit", options={"vit": "vit_tiny_patch16_224"}), 90, "fits: 80, 96, 112"),
        (Network(network="halonet_h1"), 96, r"fits: 256 px.*--set input\.size=256"),
        (Network(network="inception_v3"), 32, "fits: 96, 299 px.*--set input.size=96"),
        (Network(network="vit_tiny_patch16_224", options={"img_size": 64}), 96, r"match model \(64\)"),
        (Network(network="gemma4_vit_167m_enc"), 96, "not logits"),
        (Network(network="resnet18", options={"num_classes": 7}), 96, "options with which it is built.*num_classes"),
        (Network(network="resnet18", options={"no_such": 7}), 96, "options with which it is built.*no_such"),
    ],
    ids=lambda x: getattr(x, "network", None),
)
def test_what_does_not_fit_is_one_error(settings, size, message):
    for refused in (lambda: check_network(settings, size), lambda: build(settings, 3, size)):
        with pytest.raises(EdgekdError, match=f"(?s){message}"):
            refused()


def test_a_trial_leaves_the_random_start_as_it_is():
    torch.manual_seed(0)
    check_network(Network(options={"drop_rate": 0.5}), 32)
    after = torch.rand(1)
    torch.manual_seed(0)
    assert torch.equal(after, torch.rand(1))


@torch.inference_mode()
@pytest.mark.parametrize("size", [16, 17, 33, 97])
@pytest.mark.parametrize("name", ["mobilenetv2", "efficientnet_lite0"])
def test_students_take_odd_sizes(name, size):
    network = build(Network(network=name, width=0.35), 3, size).eval()
    assert network(torch.rand(2, 3, size, size) * 255).shape == (2, 3)


def test_what_runs_is_tried_once(monkeypatch):
    tried = []
    require = fitting.require
    monkeypatch.setattr(fitting, "require", lambda *a: (tried.append(a[2:4]), require(*a)))
    monkeypatch.setattr(networks, "_fitting", set())
    for size, classes in [(32, 3), (32, 3), (64, 3), (32, 2)]:
        build(Network(width=0.35), classes, size)
    assert tried == [(32, 3), (64, 3), (32, 2)]
    for _ in range(2):  # what does not run is no more known than before
        with pytest.raises(EdgekdError, match="do not divide it"):
            build(Network(network="vit_tiny_patch16_224"), 3, 40)

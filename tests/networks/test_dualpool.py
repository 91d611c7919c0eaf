"""Dual pooling on any backbone: the head by hand, the penalty as Keras has it, the backbone's own statistics."""

import numpy as np
import pytest
import safetensors.torch
import timm
import torch

from edgekd.distillation.batch import Batch
from edgekd.errors import EdgekdError
from edgekd.networks import build, builders, cost, taps
from edgekd.networks.dualpool import pooled
from edgekd.networks.taps import Tapped
from edgekd.recipe import Network, TrainingRecipe
from edgekd.training import distributed
from edgekd.training.loop import Task, Trainer
from edgekd.training.objective import LabelObjective, penalty

SMALL = {"backbone": "mobilenetv2_035", "hidden": 8}


def small(name="dualpool", size=64, **options):
    return build(Network(network=name, options=SMALL | options), 3, size).eval()


def test_efficientnetv2_s_with_its_head_has_the_parameters_of_both():
    with torch.device("meta"):
        body = builders()["effnetv2s_dualpool"](4, 224, 1.0, False)
        backbone = timm.create_model("tf_efficientnetv2_s", num_classes=0)
    head = 2 * 2560 + (2560 + 1) * 256 + (256 + 1) * 4  # 1,280 channels, pooled twice
    assert cost.parameters(body) == cost.parameters(backbone) + head == 20_839_252
    assert body.pretrained_cfg == {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}


def test_means_come_before_maxima():
    features = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]], [[-4.0, -1.0], [-2.0, -1.0]]]])
    assert pooled(features).tolist() == [[3.0, -2.0, 6.0, -1.0]]


@torch.inference_mode()
def test_the_logits_are_those_of_the_head_computed_by_hand():
    network = small()
    views = torch.rand(2, 3, 64, 64) * 255
    normalized = (views / 255 - torch.tensor((0.485, 0.456, 0.406)).view(3, 1, 1)) / torch.tensor(
        (0.229, 0.224, 0.225)
    ).view(3, 1, 1)
    features = network.body.backbone.forward_features(normalized).numpy()
    weights = {name: tensor.numpy() for name, tensor in network.body.head.state_dict().items()}
    x = np.concatenate([features.mean((2, 3)), features.max((2, 3))], axis=1)
    x = (x - weights["0.running_mean"]) / np.sqrt(weights["0.running_var"] + 1e-5) * weights["0.weight"] + weights[
        "0.bias"
    ]
    x = x @ weights["2.weight"].T + weights["2.bias"]
    x = x / (1 + np.exp(-x))
    expected = x @ weights["5.weight"].T + weights["5.bias"]
    assert network(views).numpy() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("backbone", ["mobilenetv2_035", "resnet10t", "vit_tiny_patch16_224", "convnext_atto"])
@torch.inference_mode()
def test_taps_of_any_backbone_leave_the_logits_as_they_are(backbone):
    network = small(backbone=backbone)
    views = torch.rand(2, 3, 64, 64) * 255
    names = network.tap_names()
    found = network.tapped(views, names)
    assert isinstance(network.body, Tapped)
    assert names[:6] == ("stage1", "stage2", "stage3", "stage4", "last", "embedding")
    assert names[6:] == (("attention",) if backbone.startswith("vit") else ())
    assert set(found.features) == set(names)
    assert torch.allclose(found.logits, network(views), atol=1e-5)
    assert found.features["embedding"].shape == (2, 8)
    assert found.features["last"].ndim == 4
    assert taps.shapes(network, 64, ["embedding"]) == {"embedding": (8,), "logits": (3,)}


def test_a_backbone_alone_starts_it(tmp_path):
    donor = timm.create_model("mobilenetv2_035", num_classes=7)
    safetensors.torch.save_file(donor.state_dict(), tmp_path / "w.safetensors")
    network = build(Network(network="dualpool", options=SMALL, weights=str(tmp_path / "w.safetensors")), 3, 64)
    assert torch.equal(network.body.backbone.conv_stem.weight, donor.conv_stem.weight)


def test_a_width_is_refused():
    with pytest.raises(EdgekdError, match="another backbone"):
        build(Network(network="effnetv2s_dualpool", width=0.5), 3, 64)


def test_the_penalty_is_the_squares_of_the_dense_weights_alone():
    network = small()
    dense = network.body.head[2].weight
    (term,) = penalty(network, distributed.start())
    assert (term.name, term.weight) == ("l2", 1.0)
    assert float(term.value.detach()) == pytest.approx(1e-4 * float((dense.detach().double() ** 2).sum()), rel=1e-5)
    term.value.backward()
    assert torch.allclose(dense.grad, 2e-4 * dense)
    assert [name for name, p in network.named_parameters() if p.grad is not None] == ["body.head.2.weight"]
    assert penalty(build(Network(width=0.35), 3, 64), distributed.start()) == []


def test_training_adds_the_penalty_to_its_loss_and_logs_it():
    network, processes = small(size=32), distributed.start()
    settings = TrainingRecipe(batch_size=4, class_weights=False)
    task = Task(None, np.zeros(4), np.arange(4), np.arange(4), None, 0)
    trainer = Trainer(
        network, LabelObjective(settings, np.zeros(4, int), 3, processes), task, settings, processes, None, ""
    )
    views, targets = torch.rand(4, 3, 32, 32) * 255, torch.eye(3)[[0, 1, 2, 0]]
    expected = float(network.body.penalty().detach())
    row = trainer._step(trainer.taught, Batch(0, np.arange(4), views, targets))
    assert row["loss_l2"] == pytest.approx(expected)
    assert row["train_loss"] == pytest.approx(row["loss_task"] + row["loss_l2"])

"""Losses on heat maps: their value, what is kept, what they teach, and what they refuse before any training."""

import re
import typing

import numpy as np
import pytest
import torch
from torch import nn

from edgekd import recipe
from edgekd.data.phantom import phantom
from edgekd.distillation.batch import Batch
from edgekd.distillation.heatmaps import directions, on_grid
from edgekd.distillation.losses.lrp_semantic import LrpOptions
from edgekd.distillation.store import TeacherStore
from edgekd.distillation.teacher_outputs import TeacherOutputs
from edgekd.errors import EdgekdError
from edgekd.explainers.gradcam import gradcam
from edgekd.explainers.lrp import relevance
from edgekd.explainers.lrp.composites import COMPOSITES
from edgekd.networks import build
from edgekd.quantization.fake import FakeQuantNetwork
from edgekd.quantization.folding import fold_normalization
from edgekd.quantization.lowering import lower
from edgekd.recipe import Network
from edgekd.training import check, qat, stages
from edgekd.training.taught import Taught

SIZE, NAMES = 64, ("gradcam_semantic", "lrp_semantic")
STUDENT = Network(width=0.35, options={"drop_rate": 0.0})
VIT = Network(network="vit_tiny_patch16_224", options={"depth": 3, "embed_dim": 24, "num_heads": 2, "patch_size": 8})
HYBRID = Network(
    network="hybrid_cnn_vit",
    options={"backbone": "mobilenetv2_035", "depth": 1, "dim": 32, "heads": 2, "drop_rate": 0.0},
)


def network(settings=STUDENT, seed=1, size=SIZE):
    torch.manual_seed(seed)
    found = build(settings, 4, size)
    for module in found.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        found.train()(phantoms(size)[0])  # statistics of the pictures, as after training
    for module in found.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1
    return found.eval()


def phantoms(size=SIZE):
    images = np.stack([phantom(0, i, size).image for i in range(16)])
    views = torch.from_numpy(images).float()[:, None].repeat(1, 3, 1, 1)
    return views, torch.eye(4)[torch.arange(16) % 4]


def built(name, student, teacher, **options):
    settings = recipe.load(None, []).distillation.model_copy(update={"losses": {name: options}})
    return stages.build_losses(settings, student, lambda: teacher)


def heatmap(name, asked, views, classes):
    return gradcam(asked, views, classes) if name == "gradcam_semantic" else relevance(asked, views, classes)


@pytest.mark.parametrize("teacher", [STUDENT, VIT], ids=["cnn", "vit"])
@pytest.mark.parametrize("name", NAMES)
def test_it_is_one_minus_the_cosine_of_both_maps_on_the_grid(name, teacher):
    student, teacher, (views, targets) = network(), network(teacher, seed=2), phantoms()
    modules = built(name, student, teacher, grid=4)
    _, said = Taught(student, modules)(views, targets)
    outputs = TeacherOutputs(lambda: teacher, None, None)
    _, told = outputs.of(Batch(0, np.arange(16), views, targets), {name: modules[name]})
    found = modules[name].compare(said[name], told[name], targets, 1.0)

    def cells(asked):
        maps = heatmap(name, asked, views, targets.argmax(1))
        if maps.shape[1] < 4:
            return nn.functional.interpolate(maps[:, None], (4, 4), mode="bilinear").flatten(1)
        side = maps.shape[1] // 4
        return maps.unflatten(2, (4, side)).unflatten(1, (4, side)).mean((2, 4)).flatten(1)

    a, b = (cells(asked).detach().double().numpy() for asked in (student, teacher))
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosines = (a * b).sum(1) / np.where(lengths == 0, 1, lengths)
    assert found.item() == pytest.approx(np.mean(1 - cosines), abs=1e-4)
    assert (lengths > 0).sum() >= 4


def test_directions_by_hand_and_maps_of_zeros():
    rows = torch.tensor([[3.0, 4.0], [0.0, 0.0], [3e-30, -4e-30], [1e25, 0.0]], requires_grad=True)
    found = directions(rows)
    assert found.tolist() == [pytest.approx(row) for row in ([0.6, 0.8], [0, 0], [0.6, -0.8], [1, 0])]
    (found * torch.tensor([1.0, 2.0])).sum().backward()
    assert torch.isfinite(rows.grad).all()
    assert rows.grad[1].tolist() == [0, 0]
    # d/dx (x + 2y) / |(x, y)| = (y² - 2xy) / |.|³
    assert rows.grad[0].tolist() == pytest.approx([(16 - 24) / 125, (18 - 12) / 125], rel=1e-5)
    assert on_grid(torch.full((1, 8, 8), 1e-9), 4).half().tolist() == [[0.25] * 16]


FALLS = [("gradcam_semantic", STUDENT, 64), ("gradcam_semantic", HYBRID, 64), ("lrp_semantic", STUDENT, 32)]


@pytest.mark.parametrize(("name", "settings", "size"), FALLS, ids=["gradcam", "gradcam-attention", "lrp"])
def test_each_falls_when_it_is_trained_alone(name, settings, size):
    (views, targets), student = phantoms(size), network(settings, size=size)
    teacher = network(VIT, seed=2, size=size)
    student, teacher = student.double(), teacher.double()  # thirty steps would make much of a processor's roundings
    views, targets = views.double(), targets.double()
    modules = built(name, student, teacher).double()
    _, told = TeacherOutputs(lambda: teacher, None, None).of(
        Batch(0, np.arange(16), views, targets), dict(modules.items())
    )
    trained = Taught(student, modules).train()
    optimizer, values = torch.optim.AdamW(trained.parameters(), lr=2e-3), []
    # Three values, as steps are noisy: where it ends differs by a processor's roundings.
    while len(values) < 4 or np.mean(sorted(values)[:3]) >= 0.8 * values[0]:
        assert len(values) < 30, values
        _, said = trained(views, targets)
        loss = modules[name].compare(said[name], told[name], targets, 1.0)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
        optimizer.step()
        values.append(loss.item())


@pytest.mark.parametrize("teacher", [STUDENT, VIT], ids=["cnn", "vit"])
@pytest.mark.parametrize("name", NAMES)
def test_the_teachers_map_is_kept(name, teacher, tmp_path):
    student, teacher, (views, targets) = network(), network(teacher, seed=2), phantoms()
    loss, batch = built(name, student, teacher), Batch(0, np.arange(16), views, targets)
    first = TeacherOutputs(lambda: teacher, TeacherStore(tmp_path, np.arange(16)), None)
    second = TeacherOutputs(lambda: pytest.fail("asked again"), TeacherStore(tmp_path, np.arange(16)), None)
    (_, told), (_, again) = (outputs.of(batch, dict(loss.items())) for outputs in (first, second))
    assert torch.equal(told[name]["map"], again[name]["map"])
    assert (first.calls, second.calls) == (1, 0)
    (kept,) = (p for p in tmp_path.rglob("*.npy") if p.parent.name != "logits")
    lines = np.load(kept)
    assert (lines.shape, lines.dtype) == ((16, 49), np.float16)


@pytest.mark.parametrize("name", NAMES)
def test_in_mixed_precision_the_map_is_in_full(name):
    student, (views, targets) = network(), phantoms()
    modules = built(name, student, network(seed=2))
    with torch.autocast("cpu", torch.bfloat16):
        _, said = Taught(student.train(), modules)(views, targets)
    outputs = TeacherOutputs(lambda: network(seed=2), None, torch.bfloat16)
    _, told = outputs.of(Batch(0, np.arange(16), views, targets), dict(modules.items()))
    assert said[name]["map"].dtype == told[name]["map"].dtype == torch.float32
    modules[name].compare(said[name], told[name], targets, 1.0).backward()
    assert all(torch.isfinite(p.grad).all() for p in student.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", NAMES)
def test_a_classifier_alone_can_be_taught(name):
    """As in a stage of fine-tuning that lets nothing else learn."""
    student, (views, targets) = network(), phantoms()
    modules = built(name, student, network(VIT, seed=2))
    student.requires_grad_(False)
    student.body.classifier.requires_grad_(True)
    _, said = Taught(student, modules)(views, targets)
    (said[name]["map"] * torch.arange(49.0)).sum().backward()
    assert student.body.classifier.weight.grad.abs().sum() > 0


def test_gradcam_teaches_the_int8_graph():
    graph, (views, targets) = FakeQuantNetwork(fold_normalization(lower(network()))), phantoms()
    with torch.no_grad():
        graph.set_ranges({node.name: (-4.0, 6.0) for node in graph.structure[1:]})
    modules = built("gradcam_semantic", graph, network(VIT, seed=2))
    _, said = Taught(graph, modules)(views, targets)
    said["gradcam_semantic"]["map"].square().sum(1).sub(said["gradcam_semantic"]["map"][:, 0]).sum().backward()
    slopes = [p.grad for p in graph.layers.parameters() if p.grad is not None]
    assert all(torch.isfinite(slope).all() for slope in slopes)
    assert any(slope.abs().sum() > 0 for slope in slopes)


SMALL = ("input.size=64", "student.width=0.35", "teacher.network=resnet18")
REFUSED = {
    "gradcam_semantic={tap='embedding'}": "student tap 'embedding'.*a map with positions.*use kd",
    "gradcam_semantic={tap='stag3'}": "did you mean 'stage3'.*use kd",
    "gradcam_semantic={grid=1}": "gradcam_semantic: 1 problem.*grid",
    "lrp_semantic={composite='epsilon_pluss'}": "lrp_semantic: 1 problem.*composite.*epsilon_plus",
}


def refusal(*settings, asked=check.recipe):
    with pytest.raises(EdgekdError) as refused:
        asked(recipe.load(None, [*SMALL, *settings]))
    return str(refused.value)


@pytest.mark.parametrize("given", REFUSED)
def test_what_cannot_be_is_refused(given):
    assert re.search(REFUSED[given], refusal(f"distillation.losses={{{given}}}"), re.DOTALL)


@pytest.mark.parametrize("side", ["student", "teacher"])
def test_a_network_without_the_rules_is_found_before_training(side):
    """Global response normalization divides by what depends on the input."""
    told = refusal(f"{side}.network=convnextv2_atto", "student.width=1.0", "distillation.losses={lrp_semantic=1.0}")
    assert re.search(f"lrp_semantic: {side}: operator.*use gradcam_semantic", told, re.DOTALL)


def test_a_transformers_last_block_is_found_before_training():
    given = "distillation.losses={gradcam_semantic={teacher_tap='stage4'}}"
    told = refusal(
        "teacher.network=vit_tiny_patch16_224", "teacher.options={depth=4, embed_dim=48, num_heads=3}", given
    )
    assert re.search(
        "gradcam_semantic: teacher: .*'stage4'.*before the last block.*use .*stage3.*use kd", told, re.DOTALL
    )


def test_relevance_does_not_teach_the_int8_graph():
    taught = ("distillation.losses={lrp_semantic=1.0}", "qat.taught_by=teacher")
    told = refusal(*taught, asked=qat.check)
    assert re.search('(?s)lrp_semantic: student: .*FakeQuantNetwork.*qat.taught_by = "student".*gradcam_semantic', told)
    qat.check(recipe.load(None, [*SMALL, taught[0]]))
    qat.check(recipe.load(None, [*SMALL, "distillation.losses={gradcam_semantic=1.0}", taught[1]]))


def test_a_committee_has_no_map():
    members = "teacher.members=[{network='resnet18'}, {network='resnet26'}]"
    with pytest.raises(EdgekdError, match=r"(?s)lrp_semantic.*a committee, which has none.*kd"):
        check.recipe(recipe.load(None, ["distillation.losses={lrp_semantic=1.0}", members]))


def test_the_recipe_knows_all_composites():
    assert set(typing.get_args(LrpOptions.model_fields["composite"].annotation)) == COMPOSITES.keys()

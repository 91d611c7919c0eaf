"""Committees: several teachers that answer together, each at its own size, each with a store of its own."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from scipy.special import softmax

from edgekd.bundle import Bundle
from edgekd.distillation.batch import Batch
from edgekd.distillation.committee import CommitteeOutputs
from edgekd.errors import EdgekdError
from edgekd.measures.calibration import softmax as probabilities
from edgekd.networks import from_bundle, precision
from edgekd.networks.committee import log_mean
from edgekd.training import check, stages, teachers

SMALL = 'network="mobilenetv2", width=0.35, training={epochs=1, batch_size=16}'
RESNET = 'network="resnet10t", input_size=64, training={epochs=1, batch_size=16}'


def members(*lines):
    return [f"teacher.members=[{', '.join('{' + line + '}' for line in lines)}]"]


class Says:
    """A teacher that always says the same."""

    calls = 0

    def __init__(self, logits):
        self.said = torch.tensor(logits)

    def of(self, batch, losses):
        return self.said, {}


def test_the_mean_of_members_by_hand():
    """Two members, (3/4, 1/4) and (1/4, 3/4), weights 3 and 1: (5/8, 3/8); the logits' mean is 0."""
    given = [torch.tensor([[0.75, 0.25]]).log() + 5, torch.tensor([[0.25, 0.75]]).log() - 2]
    found = log_mean(given, [3.0, 1.0])
    assert found.softmax(1)[0].tolist() == pytest.approx([0.625, 0.375])
    assert found.sum().item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_what_a_committee_teaches_is_the_mean_of_softened_answers(temperature):
    given = np.random.default_rng(0).normal(size=(3, 5, 4)) * 3
    said = CommitteeOutputs([Says(z) for z in given], [1, 1, 1], temperature).logits(None).numpy()
    expected = np.mean([softmax(z / temperature, 1) for z in given], axis=0)
    np.testing.assert_allclose(softmax(said / temperature, 1), expected, rtol=1e-12)
    alone = CommitteeOutputs([Says(given[0])], [2], temperature).logits(None).numpy()
    np.testing.assert_allclose(alone, given[0] - given[0].mean(1, keepdims=True), rtol=1e-12, atol=1e-12)


def test_a_committee_is_trained_evaluated_and_teaches_and_a_new_member_leaves_the_others_alone(prepare, tmp_path):
    run = prepare(*members(SMALL, RESNET))
    made = teachers.teacher(run, tmp_path / "teacher")
    assert made.manifest.input.size == 64  # the largest member's
    folders = sorted((tmp_path / "teacher/members").iterdir())
    assert [f.name.rpartition("-")[0] for f in folders] == ["mobilenetv2", "resnet10t"]
    own = [Bundle.open(folder) for folder in folders]
    network = from_bundle(made)
    views = torch.from_numpy(load_file(made.file("golden/vectors.safetensors"))["pixels"]).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        said = [from_bundle(b)(views).numpy() for b in own]
        together = network(views).numpy()
    temperatures = [b.manifest.calibration_temperature["torch"] for b in own]
    expected = np.mean([softmax(z / t, 1) for z, t in zip(said, temperatures, strict=True)], axis=0)
    np.testing.assert_allclose(softmax(together, 1), expected, rtol=1e-4)
    stored = load_file(made.file("evaluation/test.safetensors"))
    assert probabilities(stored["logits"]).shape == (32, 4)

    outputs = stages.teacher_outputs(run, made)
    alone = [stages.teacher_outputs(run, b) for b in own]
    assert [m.store.folder for m in outputs.members] == [o.store.folder for o in alone]  # the same store either way
    rows = run.rows("train")[:4]
    shown = run.task(0.0).augmenter.views(0, rows, torch.device("cpu"))
    batch = Batch(0, rows, shown.pixels, shown.targets)
    taught = outputs.logits(batch) / 4.0
    apart = np.mean([softmax(o.logits(batch).numpy() / 4.0, 1) for o in alone], axis=0)
    np.testing.assert_allclose(taught.softmax(1).numpy(), apart, rtol=1e-5)
    assert [o.calls for o in alone] == [0, 0]

    student = stages.student(prepare(*members(SMALL, RESNET)), made, tmp_path / "student")
    assert student.manifest.teacher.network == "committee"

    times = [folder.stat().st_mtime_ns for f in folders for folder in f.rglob("*.safetensors")]
    three = teachers.teacher(prepare(*members(SMALL + ", seed=3", RESNET, SMALL)), tmp_path / "teacher")
    assert [folder.stat().st_mtime_ns for f in folders for folder in f.rglob("*.safetensors")] == times
    assert len(from_bundle(three).body.members) == 3


def test_each_member_answers_in_the_precision_that_it_was_trained_in(prepare, tmp_path, monkeypatch):
    """Of members in the recipe, of a committee that is read as a bundle, and of a committee of one."""
    monkeypatch.setattr(precision, "has_bf16", lambda device: True)
    half = SMALL.replace("epochs=1", 'epochs=1, precision="bf16"')
    run = prepare(*members(half, RESNET))
    made = teachers.teacher(run, tmp_path / "teacher")
    again = prepare(f"teacher.bundle={made.folder}")
    for asked in (run, again):
        assert [o.precision for o in stages.teacher_outputs(asked, made).members] == [torch.bfloat16, None]
    assert {o.precision for o in stages.teacher_outputs(run, made, "fp32").members} == {None}
    wholly = prepare(f"teacher.bundle={made.folder}", "teacher.training.precision=bf16")
    assert {o.precision for o in stages.teacher_outputs(wholly, made).members} == {torch.bfloat16}
    alone = prepare(*members(half))
    one = teachers.teacher(alone, tmp_path / "one")
    assert stages.teacher_outputs(alone, one).precision is torch.bfloat16


def test_a_member_sees_the_picture_at_its_own_size_and_not_an_enlarged_view(prepare, tmp_path):
    """The view at 64 px, made smaller, is the view at 32 px up to resizing; an enlarged one would have no finer detail."""
    run = prepare("augment.elastic_alpha=3.0")
    larger = run.seen_as(run.recipe.input.model_copy(update={"size": 64}))
    assert larger.recipe.augment.elastic_alpha == 6.0
    assert np.array_equal(larger.pixels.ids, run.pixels.ids)
    rows = run.rows("train")[:8]
    small, large = (r.task(0.0).augmenter.views(2, rows, torch.device("cpu")).pixels for r in (run, larger))
    reduced = torch.nn.functional.interpolate(large, (32, 32), mode="bilinear", antialias=True)
    inner = (slice(None), slice(None), slice(4, -4), slice(4, -4))
    assert (reduced[inner] - small[inner]).abs().mean() < 0.1 * small[inner].std()
    enlarged = torch.nn.functional.interpolate(small, (64, 64), mode="bilinear")
    assert large.diff(dim=-1).abs().mean() > 1.1 * enlarged.diff(dim=-1).abs().mean()


def test_the_same_member_twice_is_told(prepare, tmp_path):
    with pytest.raises(EdgekdError, match="a member of its own"):
        teachers.teacher(prepare(*members(SMALL, SMALL)), tmp_path / "teacher")


def test_another_weight_trains_no_member_again_and_changes_the_mean(prepare, tmp_path):
    other = SMALL + ", seed=3"
    first = teachers.teacher(prepare(*members(SMALL, other)), tmp_path / "teacher")
    times = {f: f.stat().st_mtime_ns for f in (tmp_path / "teacher/members").rglob("weights.safetensors")}
    said = load_file(first.file("evaluation/test.safetensors"))["logits"]
    second = teachers.teacher(prepare(*members(SMALL, other + ", weight=3.0")), tmp_path / "teacher")
    assert {f: f.stat().st_mtime_ns for f in (tmp_path / "teacher/members").rglob("weights.safetensors")} == times
    assert len(times) == 2
    assert not np.allclose(load_file(second.file("evaluation/test.safetensors"))["logits"], said, atol=1e-3)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['network="mobilenetv3"'], "did you mean"),
        ([SMALL, 'bundle="nowhere"'], r"teacher\.members\.1.*nowhere"),
        ([SMALL, 'network="resnet10t", checkpoint="gone.pth"'], r"teacher\.members\.1"),
    ],
)
def test_what_is_wrong_with_a_member_is_found_before_training(lines, message, tiny_settings):
    from edgekd import recipe

    with pytest.raises(EdgekdError, match=message):
        check.recipe(recipe.load(None, [s for s in tiny_settings if not s.startswith("teacher")] + members(*lines)))


def test_a_member_with_other_labels_is_refused_by_name(prepare, teacher, tmp_path):
    other = teacher.enriched(label_names=("a", "b", "c", "d"))
    with pytest.raises(EdgekdError, match=str(other.folder)):
        teachers.teacher(prepare(*members(SMALL, f'bundle="{other.folder}"')), tmp_path / "committee")


def test_losses_that_read_features_want_one_teacher(tiny_settings):
    from edgekd import recipe

    settings = [s for s in tiny_settings if not s.startswith("teacher")] + members(SMALL, RESNET)
    check.features(recipe.load(None, settings))  # the default's logits
    with pytest.raises(EdgekdError, match=r"(?s)cosine_feature.*a teacher with features.*a committee, which has none"):
        check.features(recipe.load(None, [*settings, "distillation.losses={cosine_feature=1.0}"]))

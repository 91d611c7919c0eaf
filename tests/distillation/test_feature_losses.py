"""Each feature loss against an independent formula in float64 NumPy, its gradient, and its store."""

import math

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from torch import nn

from edgekd.data.phantom import phantom
from edgekd.distillation import losses
from edgekd.distillation.batch import Batch
from edgekd.distillation.losses.cross_arch import GroupwiseLinear
from edgekd.distillation.losses.ofa import adaptive_target
from edgekd.distillation.losses.rkd import angle, distance
from edgekd.distillation.store import TeacherStore
from edgekd.distillation.teacher_outputs import TeacherOutputs
from edgekd.errors import EdgekdError
from edgekd.networks import build, taps
from edgekd.networks.taps import Outputs
from edgekd.recipe import Network
from edgekd.training.taught import Taught

COUNT, CLASSES = 4, 3
STUDENT = {"stage2": (3, 4, 4), "stage3": (4, 2, 2), "stage4": (5, 2, 2), "last": (6, 2, 2), "embedding": (6,)}
TEACHER = {"stage2": (4, 3, 3), "stage3": (4, 3, 3), "stage4": (4, 3, 3), "last": (4, 3, 3), "embedding": (4,)}
TEACHER |= {"attention": (3, 2, 9, 5)}
OPTIONS = {  # every feature loss, on the taps above
    "cosine_feature": {},
    "l2_feature": {},
    "attention_transfer": {},
    "rkd": {},
    "geometric": {"width": 3},
    "ofa": {"taps": ["stage2", "stage4"]},
    "cross_arch": {"group": 2},
}
KEPT = ("attention_transfer", "rkd", "geometric", "cosine_feature", "l2_feature", "ofa")
TARGETS = torch.eye(CLASSES, dtype=torch.float64)[[0, 2, 1, 0]]


def features(shapes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(COUNT, *shape, generator=generator, dtype=torch.float64) for name, shape in shapes.items()
    }


def outputs(shapes, seed):
    found = features(shapes | {"logits": (CLASSES,)}, seed)
    return Outputs(found.pop("logits"), found)


def made(name, student=STUDENT, teacher=TEACHER, **options):
    torch.manual_seed(3)
    named = losses.resolve({name: OPTIONS[name] | options})
    return losses.build(named, student | {"logits": (CLASSES,)}, teacher | {"logits": (CLASSES,)})[name].double().eval()


def value(loss, student, teacher, targets=TARGETS):
    """The loss as the objective asks for it."""
    said = {"logits": student.logits} | loss.of_student(student, targets)
    told = {"logits": teacher.logits} | loss.of_teacher(teacher, targets)
    return loss.compare(said, told, targets, 4.0)


def arrays(found):
    return {name: tensor.numpy() for name, tensor in found.features.items()}


S, T = outputs(STUDENT, 1), outputs(TEACHER, 2)
s, t = arrays(S), arrays(T)


def numpy_pooled(x, grid):
    """Adaptive average pooling: output i averages input floor(i n / m) to ceil((i + 1) n / m)."""
    n, m = x.shape[-1], grid
    edges = [(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]
    return np.stack([np.stack([x[..., a:b, c:d].mean((-2, -1)) for c, d in edges], -1) for a, b in edges], -2)


def numpy_huber(x):
    return np.where(np.abs(x) < 1, x**2 / 2, np.abs(x) - 0.5)


def numpy_relations(x):
    """Distances of pairs relative to their mean, and cosines of the angles of triplets, image by image."""
    n = len(x)
    pairs = np.array([np.linalg.norm(x[i] - x[j]) for i in range(n) for j in range(i)])
    unit = lambda v: v / np.linalg.norm(v)  # noqa: E731
    triplets = [(i, j, k) for i in range(n) for j in range(n) for k in range(n) if len({i, j, k}) == 3]
    return pairs / pairs.mean(), np.array([unit(x[i] - x[j]) @ unit(x[k] - x[j]) for i, j, k in triplets])


def numpy_rkd(x, y, weights):
    return sum(
        w * numpy_huber(a - b).mean() for w, a, b in zip(weights, numpy_relations(x), numpy_relations(y), strict=True)
    )


def test_cosine_feature_is_one_minus_the_cosine_over_channels():
    loss = made("cosine_feature", tap="stage2")
    weight, bias = (p.detach().numpy() for p in loss.project.parameters())
    projected = np.einsum("dc,bchw->bdhw", weight[:, :, 0, 0], numpy_pooled(s["stage2"], 3)) + bias[:, None, None]
    norms = np.linalg.norm(projected, axis=1) * np.linalg.norm(t["stage2"], axis=1)
    assert value(loss, S, T).item() == pytest.approx(np.mean(1 - (projected * t["stage2"]).sum(1) / norms), rel=1e-12)


def test_cosine_feature_pools_whichever_grid_is_larger():
    loss = made("cosine_feature", tap="stage3", teacher_tap="stage2")
    assert loss.of_student(S, TARGETS)["map"].shape == loss.of_teacher(T, TARGETS)["map"].shape == (COUNT, 4, 2, 2)
    expected = numpy_pooled(t["stage2"], 2)
    assert loss.of_teacher(T, TARGETS)["map"].numpy() == pytest.approx(expected, rel=1e-12)


def test_l2_feature_is_the_mean_squared_difference():
    loss = made("l2_feature", tap="stage2")
    weight, bias = (p.detach().numpy() for p in loss.project.parameters())
    projected = np.einsum("dc,bchw->bdhw", weight[:, :, 0, 0], numpy_pooled(s["stage2"], 3)) + bias[:, None, None]
    assert value(loss, S, T).item() == pytest.approx(((projected - t["stage2"]) ** 2).mean(), rel=1e-12)


def test_l2_feature_sees_length_and_cosine_feature_does_not():
    x, y = torch.tensor([[3.0, 4.0]]).double(), torch.tensor([[6.0, 8.0]]).double()
    found = {}
    for name in ("l2_feature", "cosine_feature"):
        loss = made(name, {"embedding": (2,)}, {"embedding": (2,)}, tap="embedding")
        nn.init.eye_(loss.project.weight)
        nn.init.zeros_(loss.project.bias)
        found[name] = value(loss, Outputs(x, {"embedding": x}), Outputs(y, {"embedding": y})).item()
    assert found == {"l2_feature": pytest.approx(12.5), "cosine_feature": pytest.approx(0, abs=1e-12)}


def test_cosine_feature_by_hand():
    """An identity projection; vectors (1, 0) and (1, 1): 1 - cos 45 degrees; (0, 2) and (0, -1): 2."""
    loss = made("cosine_feature", {"embedding": (2,)}, {"embedding": (2,)}, tap="embedding")
    nn.init.eye_(loss.project.weight)
    nn.init.zeros_(loss.project.bias)
    x, y = torch.tensor([[1.0, 0], [0, 2]]).double(), torch.tensor([[1.0, 1], [0, -1]]).double()
    found = value(loss, Outputs(x, {"embedding": x}), Outputs(y, {"embedding": y}))
    assert found.item() == pytest.approx((1 - math.sqrt(0.5) + 2) / 2)


def test_attention_transfer_by_hand():
    """Q of (3, 4) over two channels is 25, of zeros 0: directions (1, 0) and (0, 1) are sqrt 2 apart."""
    shape = {"last": (2, 1, 2)}
    loss = made("attention_transfer", shape, shape, taps=["last"])
    x = torch.tensor([[[[3.0, 0.0]], [[4.0, 0.0]]]]).double()
    found = value(loss, Outputs(x, {"last": x}), Outputs(x, {"last": x.flip(3) * 7}))
    assert found.item() == pytest.approx(1000 / 2 * (1 + 1) / 2)
    assert value(loss, Outputs(x, {"last": x}), Outputs(x, {"last": x * 7})).item() == pytest.approx(0, abs=1e-12)


def test_attention_transfer_sums_stages_on_the_smaller_grid():
    expected = 0.0
    for tap, grid in {"stage2": 3, "stage3": 2, "stage4": 2}.items():
        q_s, q_t = (numpy_pooled((x[tap] ** 2).sum(1), grid).reshape(COUNT, -1) for x in (s, t))
        q_s, q_t = (q / np.linalg.norm(q, axis=1, keepdims=True) for q in (q_s, q_t))
        expected += 500 * ((q_s - q_t) ** 2).mean()
    assert value(made("attention_transfer"), S, T).item() == pytest.approx(expected, rel=1e-12)


def test_attention_is_kept_without_overflow():
    huge = Outputs(T.logits, {name: x * 1e4 for name, x in T.features.items()})
    kept = made("attention_transfer").of_teacher(huge, TARGETS)["attention"].half()
    assert kept.isfinite().all()
    assert kept.max() <= 1


def test_rkd_is_that_of_single_pairs_and_triplets():
    expected = numpy_rkd(s["embedding"], t["embedding"], (25, 50))
    assert value(made("rkd"), S, T).item() == pytest.approx(expected, rel=1e-12)
    assert value(made("rkd", distance_weight=1.0, angle_weight=0.0), S, T).item() < expected


def test_distance_and_angle_by_hand():
    """A 3-4-5 triangle against an equilateral one: distances over their mean 3/4, 1, 5/4; cosines 4/5, 0, 3/5 against 1/2."""
    triangle = torch.tensor([[0.0, 0], [3, 0], [0, 4]]).double()
    equal = torch.tensor([[0.0, 0], [1, 0], [0.5, math.sqrt(0.75)]]).double()
    assert distance(triangle, equal).item() == pytest.approx((2 * 0.25**2 / 2) / 3)
    assert angle(triangle, equal).item() == pytest.approx((0.3**2 + 0.5**2 + 0.1**2) / 2 / 3)


def test_relations_ignore_rotation_shift_and_scale():
    x = torch.from_numpy(t["embedding"])
    turned = x @ torch.linalg.qr(torch.from_numpy(s["embedding"][:, :4]))[0] * 3 + 5
    assert distance(x, turned).item() == pytest.approx(0, abs=1e-20)
    assert angle(x, turned).item() == pytest.approx(0, abs=1e-20)


@pytest.mark.parametrize("rows", [1, 2])
def test_two_images_have_no_angle(rows):
    x = torch.randn(rows, 3, requires_grad=True)
    angle(x, torch.randn(rows, 5)).backward()
    assert x.grad.count_nonzero() == 0


def test_equal_embeddings_have_finite_gradients():
    x = torch.ones(4, 3, requires_grad=True)
    (distance(x, torch.randn(4, 5)) + angle(x, torch.randn(4, 5))).backward()
    assert x.grad.isfinite().all()


def test_geometric_mixes_the_students_stages_by_a_softmax():
    loss = made("geometric", taps=["stage2", "last"], teacher_taps=["stage3", "stage4", "last"])
    nn.init.normal_(loss.depth)
    shares = softmax(loss.depth.detach().numpy(), axis=1)
    weights = [p.weight.detach().numpy() for p in loss.project]
    vectors = [s[tap].mean((2, 3)) @ w.T for tap, w in zip(("stage2", "last"), weights, strict=True)]
    expected = []
    for share, tap in zip(shares, ("stage3", "stage4", "last"), strict=True):
        fused = share[0] * vectors[0] + share[1] * vectors[1]
        expected.append(numpy_rkd(fused, t[tap].mean((2, 3)), (1, 2)))
    assert value(loss, S, T).item() == pytest.approx(np.mean(expected), rel=1e-12)


def test_ofa_sums_the_adaptive_target_over_stages_and_logits():
    loss = made("ofa")
    said = [*loss.of_student(S, TARGETS).values(), S.logits]
    y = TARGETS.numpy()
    weights = (softmax(T.logits.numpy(), 1) + y) ** 1.5 - y
    expected = sum(-(weights * log_softmax(z.detach().numpy(), 1)).sum(1).mean() for z in said)
    assert value(loss, S, T).item() == pytest.approx(expected, rel=1e-12)


def test_ofa_with_eps_1_is_cross_entropy_with_the_teachers_probabilities():
    expected = nn.functional.cross_entropy(S.logits, T.logits.softmax(1)).item()
    assert adaptive_target(S.logits, T.logits, TARGETS, 1.0, 1.0).item() == pytest.approx(expected, rel=1e-12)


def test_ofa_is_least_where_the_student_answers_in_proportion_to_the_target():
    weights = (T.logits.softmax(1) + TARGETS) ** 1.5 - TARGETS
    z = weights.log().requires_grad_()
    adaptive_target(z, T.logits, TARGETS, 1.5, 1.0).backward()
    assert z.grad.abs().max() < 1e-12


def numpy_attended(qkv):
    q, k, v = np.moveaxis(qkv, 1, 0)
    return softmax(q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1]), -1) @ v


def test_cross_arch_is_the_sum_of_attention_values_and_tokens():
    loss = made("cross_arch", tap="stage2")
    said = {name: x.detach().numpy() for name, x in loss.of_student(S, TARGETS).items()}
    own, told = said["attention"], t["attention"]
    relations = [x[:, 2] @ x[:, 2].swapaxes(-1, -2) / math.sqrt(5) for x in (own, told)]
    expected = ((numpy_attended(own) - numpy_attended(told)) ** 2).mean()
    expected += ((relations[0] - relations[1]) ** 2).mean() + ((said["tokens"] - t["last"]) ** 2).mean()
    assert value(loss, S, T).item() == pytest.approx(expected, rel=1e-12)


def test_cross_arch_convolves_the_students_map_into_heads():
    loss = made("cross_arch", tap="stage2")
    pooled = torch.from_numpy(numpy_pooled(s["stage2"], 3))
    keys = loss.attend[1](pooled)  # heads are blocks of channels, positions in rows
    found = loss.of_student(S, TARGETS)["attention"]
    for head, position, channel in ((0, 0, 0), (1, 5, 3), (1, 8, 4)):
        row, column = divmod(position, 3)
        torch.testing.assert_close(found[:, 1, head, position, channel], keys[:, head * 5 + channel, row, column])


def test_cross_arch_replaces_elements_by_the_teachers_while_it_trains():
    """With all replaced the attention is the teacher's and its part vanishes; with none it is that of evaluation."""
    parts = {}
    for replaced in (0.0, 0.5, 1.0):
        loss = made("cross_arch", replaced=replaced)
        parts[replaced] = value(loss.train(), S, T).item()
        whole = value(loss.eval(), S, T).item()
    own, told = loss.of_student(S, TARGETS)["attention"].detach().numpy(), t["attention"]
    attention = ((numpy_attended(own) - numpy_attended(told)) ** 2).mean()
    assert parts[0.0] == pytest.approx(whole, rel=1e-12)
    assert parts[1.0] == pytest.approx(whole - attention, rel=1e-9)
    assert parts[0.5] not in (parts[0.0], parts[1.0])
    loss = made("cross_arch").train()
    torch.manual_seed(5)
    first = value(loss, S, T)
    second = value(loss, S, T)
    torch.manual_seed(5)
    assert value(loss, S, T) == first != second


def test_groups_of_positions_share_a_linear_layer():
    layer = GroupwiseLinear(3, 4, (5, 6), 2).double()
    nn.init.normal_(layer.bias)
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    found = layer(x)
    assert layer.weight.shape == (9, 3, 4)
    for row in range(5):
        for column in range(6):
            group = row // 2 * 3 + column // 2
            expected = x[:, :, row, column] @ layer.weight[group] + layer.bias[group]
            torch.testing.assert_close(found[:, :, row, column], expected)


def test_14_by_14_positions_in_groups_of_4_take_16_layers():
    assert len(GroupwiseLinear(1, 1, (14, 14), 4).weight) == 16


SAME = dict.fromkeys(("stage2", "stage3", "stage4", "last"), (4, 3, 3)) | {
    "embedding": (4,),
    "attention": (3, 2, 9, 2),
}


def identity(loss):
    """Projectors that change nothing, as far as the loss has any."""
    for module in loss.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.zeros_(module.weight)
            with torch.no_grad():
                module.weight.view(len(module.weight), -1)[:, : len(module.weight)].fill_diagonal_(1)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    if hasattr(loss, "depth"):
        with torch.no_grad():
            loss.depth.copy_(torch.eye(len(loss.depth)) * 1e3)
    return loss


@pytest.mark.parametrize("name", ["cosine_feature", "l2_feature", "attention_transfer", "rkd", "geometric"])
def test_zero_where_the_student_is_the_teacher(name):
    options = {"width": 4} if name == "geometric" else {}
    loss = identity(made(name, SAME, SAME, **options))
    assert value(loss, outputs(SAME, 8), outputs(SAME, 8)).item() == pytest.approx(0, abs=1e-12)
    assert value(loss, outputs(SAME, 8), outputs(SAME, 9)).item() > 0.01


@pytest.mark.parametrize("name", OPTIONS)
def test_gradients_agree_with_finite_differences(name):
    loss = made(name)
    read = loss.taps(loss.options).student
    parameters = list(loss.parameters())
    given = [S.features[n].clone().requires_grad_() for n in read] + [S.logits.clone().requires_grad_()]

    def function(*tensors):
        *maps, logits = tensors[: len(given)]
        return value(loss, Outputs(logits, dict(zip(read, maps, strict=True))), T)

    if name != "ofa":
        given[-1] = S.logits  # only ofa reads them
    assert torch.autograd.gradcheck(function, (*given, *parameters), atol=1e-6)


@pytest.mark.parametrize("name", OPTIONS)
def test_projectors_know_no_batch(name):
    """Statistics of a batch would differ between processes, and would have to be averaged with the weights."""
    loss = made(name)
    assert not list(loss.buffers())
    whole, first = loss.of_student(S, TARGETS), Outputs(S.logits[:1], {n: x[:1] for n, x in S.features.items()})
    for key, alone in loss.of_student(first, TARGETS[:1]).items():
        torch.testing.assert_close(alone, whole[key][:1])


REFUSED = [
    ("cosine_feature", {"tap": "embedding", "teacher_tap": "last"}, "student tap 'embedding'.*both name maps"),
    ("cosine_feature", {"tap": "last", "teacher_tap": "embedding"}, "teacher tap 'embedding'.*both name maps"),
    ("cosine_feature", {"tap": "stage1"}, "student tap 'stage1'.*no such tap.*teacher_tap = 'last'"),
    ("l2_feature", {"tap": "stage1"}, "student tap 'stage1'.*no such tap"),
    ("attention_transfer", {"taps": ["embedding"]}, "student tap 'embedding'.*a map with positions.*use rkd"),
    ("attention_transfer", {"teacher_taps": ["last"]}, r"as many taps as teacher_taps.*geometric"),
    ("attention_transfer", {"teacher_taps": ["last", "last", "stage1"]}, "teacher tap 'stage1'.*no such tap"),
    ("rkd", {"tap": "last"}, r"student tap 'last'.*a vector.*\[6, 2, 2\].*geometric"),
    ("rkd", {"teacher_tap": "last"}, "teacher tap 'last'.*a vector.*geometric"),
    ("geometric", {"taps": ["embedding", "last"]}, "student tap 'embedding'.*a map.*use rkd"),
    ("ofa", {"taps": ["embedding"]}, "student tap 'embedding'.*a map"),
    ("cross_arch", {"tap": "embedding"}, "student tap 'embedding'.*a map.*cosine_feature"),
    ("cross_arch", {"teacher_tap": "embedding"}, "teacher tap 'embedding'.*a map.*cosine_feature"),
]


@pytest.mark.parametrize(("name", "options", "message"), REFUSED)
def test_taps_that_cannot_meet_are_refused(name, options, message):
    with pytest.raises(EdgekdError, match=f"(?s)distillation.losses.{name}.*{message}"):
        made(name, **options)


def test_cross_arch_refuses_a_teacher_without_attention_or_with_another_grid():
    without = {name: shape for name, shape in TEACHER.items() if name != "attention"}
    with pytest.raises(EdgekdError, match=r"(?s)teacher tap 'attention'.*cosine_feature"):
        made("cross_arch", teacher=without)
    with pytest.raises(EdgekdError, match=r"(?s)teacher tap 'stage3'.*9 positions.*2 x 2.*teacher_tap = 'last'"):
        made("cross_arch", teacher=TEACHER | {"stage3": (4, 2, 2)}, teacher_tap="stage3")


SIZE = 32
STUDENT_NETWORK = Network(width=0.35, options={"drop_rate": 0.0})
VIT = Network(network="vit_tiny_patch16_224", options={"depth": 4, "embed_dim": 24, "num_heads": 2, "patch_size": 8})


def networks():
    torch.manual_seed(1)
    return build(STUDENT_NETWORK, 4, SIZE), build(VIT, 4, SIZE).eval()


def phantoms():
    images = np.stack([phantom(0, i, SIZE).image for i in range(16)])
    views = torch.from_numpy(images).float()[:, None].repeat(1, 3, 1, 1)
    return views, torch.eye(4)[torch.arange(16) % 4]


def for_networks(name, student, teacher, **options):
    named = losses.resolve({name: options})
    shapes = [
        taps.shapes(n, SIZE, getattr(named[0].taps, side)) for side, n in (("student", student), ("teacher", teacher))
    ]
    return losses.build(named, *shapes)


@pytest.mark.parametrize("name", OPTIONS)
def test_each_falls_when_it_is_trained_alone(name):
    student, teacher = networks()
    modules = for_networks(name, student, teacher)
    loss, (views, targets) = modules[name], phantoms()
    with torch.no_grad():
        found = taps.outputs(teacher, views, loss.taps(loss.options).teacher)
        # A random teacher is unsure, and cross-entropy has a floor there.
        told = {"logits": found.logits + 8 * targets} | loss.of_teacher(found, targets)
    trained = Taught(student, modules).train()
    optimizer, values = torch.optim.AdamW(trained.parameters(), lr=3e-3), []
    for _ in range(30):
        logits, said = trained(views, targets)
        result = loss.compare({"logits": logits} | said[name], told, targets, 4.0)
        optimizer.zero_grad()
        result.backward()
        optimizer.step()
        values.append(result.item())
    assert values[-1] < 0.7 * values[0]


@pytest.mark.parametrize("name", KEPT)
def test_what_is_kept_spares_the_teacher_and_another_student_reads_it(name, tmp_path):
    _, teacher = networks()
    options = {"tap": "embedding"} if name in ("cosine_feature", "l2_feature") else {}
    views, targets = phantoms()
    batch = Batch(0, np.arange(16), views, targets)

    def ask(outputs, width):
        other = build(Network(width=width), 4, SIZE)
        return outputs.of(batch, for_networks(name, other, teacher, **options))

    first = TeacherOutputs(lambda: teacher, TeacherStore(tmp_path, np.arange(16)), None)
    second = TeacherOutputs(lambda: pytest.fail("asked again"), TeacherStore(tmp_path, np.arange(16)), None)
    without = TeacherOutputs(lambda: teacher, None, None)
    logits, taken = ask(first, 0.35)
    for outputs, width in ((second, 0.5), (without, 0.35)):
        again = ask(outputs, width)
        assert torch.equal(again[0], logits)
        assert again[1].keys() == taken.keys()
        for values, expected in zip(again[1].values(), taken.values(), strict=True):
            assert all(torch.equal(values[key], expected[key]) for key in expected)


def test_losses_compute_in_full_precision_where_the_network_does_not():
    student, teacher = networks()
    modules = for_networks("cosine_feature", student, teacher)
    with torch.autocast("cpu", torch.bfloat16):
        logits, said = Taught(student, modules)(*phantoms())
    assert logits.dtype == said["cosine_feature"]["map"].dtype == torch.float32

"""DisWOT by hand-made numbers, by what must not change it, and by a network beside itself."""

import pytest
import torch
from torch import nn

from edgekd.distillation import diswot
from edgekd.errors import EdgekdError
from edgekd.networks import PixelNetwork, build
from edgekd.networks.taps import Outputs
from edgekd.recipe import Network


class Handmade(nn.Module):
    """Its last map is what it is told, its logits a linear layer of the map's mean."""

    def __init__(self, maps, weight):
        super().__init__()
        self.maps, self.head = maps, nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        self.head.weight.data = weight

    def forward(self, x):
        return self.head(self.maps.mean((2, 3)))

    def tapped(self, x, names):
        return Outputs(self.forward(x), {"last": self.maps})

    def tap_names(self):
        return ("last",)

    def get_classifier(self):
        return self.head


def handmade(maps, weight):
    return PixelNetwork(Handmade(maps, weight), 4, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def test_hand_made_numbers():
    # Two images whose maps are (3, 4) and (4, 3) in one channel: products 25, 24, 24, 25, each row divided by its length.
    maps = torch.tensor([[[[3.0, 4.0]]], [[[4.0, 3.0]]]])
    # Both have the mean 3.5; with zero weights p = 1/2, and the gradient of the mean loss by class k is
    # (1/2) sum_b (p_k - y_bk) 3.5 = 0: one image of each class; so the second is labelled like the first.
    network = handmade(maps, torch.zeros(2, 1))
    seen = diswot.sight(network, torch.zeros(2, 3, 4, 4), torch.tensor([0, 0]))
    length = (25**2 + 24**2) ** 0.5
    expected = torch.tensor([[25.0, 24.0], [24.0, 25.0]], dtype=torch.float64) / length
    assert torch.allclose(seen.relations, expected)
    # The gradient is (-1.75, 1.75): its products are +-3.0625 and the rows have the length 3.0625 sqrt(2).
    half = 0.5**0.5
    assert torch.allclose(seen.semantics, torch.tensor([[half, -half], [-half, half]], dtype=torch.float64))

    other = diswot.Sight(torch.eye(2, dtype=torch.float64), torch.zeros(2, 2, dtype=torch.float64))
    score = diswot.score(seen, other)
    # Of the relations both rows differ by (25/l - 1, 24/l): twice their squares over 2².
    assert score.relation == pytest.approx(-2 * ((25 / length - 1) ** 2 + (24 / length) ** 2) / 4)
    assert score.semantic == pytest.approx(-4 * 0.5 / 4)
    assert score.total == pytest.approx(score.relation + score.semantic)


def test_the_gradient_is_that_of_the_mean_cross_entropy():
    torch.manual_seed(0)
    maps, labels = torch.randn(6, 5, 2, 2), torch.tensor([0, 1, 2, 0, 1, 1])
    weight = torch.randn(3, 5)
    pooled = maps.mean((2, 3))
    excess = (pooled @ weight.T).softmax(1) - nn.functional.one_hot(labels, 3)
    seen = diswot.sight(handmade(maps, weight), torch.zeros(6, 3, 4, 4), labels)
    assert torch.allclose(seen.semantics, diswot.gram(excess.T @ pooled / 6), atol=1e-5)


def test_neither_scale_nor_rotation_nor_the_order_of_images_changes_a_score():
    torch.manual_seed(1)
    a, b = torch.randn(8, 6, 3, 3), torch.randn(8, 10, 2, 2)
    plain = diswot.gram(a)
    rotation = torch.linalg.qr(torch.randn(6, 6))[0]
    turned = torch.einsum("dc,bchw->bdhw", rotation, a)
    assert torch.allclose(diswot.gram(7.5 * turned), plain, atol=1e-5)
    assert not torch.allclose(diswot.gram(a + 1), plain, atol=1e-2)
    classes = torch.eye(3, dtype=torch.float64)
    order = torch.randperm(8)
    scores = [
        diswot.score(diswot.Sight(diswot.gram(x), classes), diswot.Sight(diswot.gram(y), classes)).total
        for x, y in ((a, b), (a[order], b[order]))
    ]
    assert scores[0] == pytest.approx(scores[1])
    assert scores[0] < 0


@pytest.fixture
def batch():
    torch.manual_seed(2)
    return 255 * torch.rand(8, 3, 32, 32), torch.arange(8) % 4


def random(name, seed, **settings):
    torch.manual_seed(seed)
    return build(Network(network=name, **settings), 4, 32)


def test_a_network_equal_to_its_teacher_scores_highest(batch):
    teacher = diswot.sight(random("mobilenetv2", 0, width=0.35), *batch)
    same = diswot.score(diswot.sight(random("mobilenetv2", 0, width=0.35), *batch), teacher)
    assert (same.relation, same.semantic) == (0.0, 0.0)
    others = [random("mobilenetv2", 1, width=0.35), random("mobilenetv2", 0, width=0.5)]
    for other in others:
        assert diswot.score(diswot.sight(other, *batch), teacher).total < -1e-3


def test_a_vision_transformer_and_a_convolutional_network_are_compared(batch):
    options = {"patch_size": 8, "embed_dim": 24, "depth": 4, "num_heads": 2}
    teacher = diswot.sight(random("vit_tiny_patch16_224", 0, options=options), *batch)
    student = diswot.sight(random("mobilenetv2", 0, width=0.35), *batch)
    assert teacher.relations.shape == student.relations.shape == (8, 8)
    assert teacher.semantics.shape == student.semantics.shape == (4, 4)
    score = diswot.score(student, teacher)
    # Rows of length 1 are at most 2 apart, so that no part is below -4 / N.
    assert -4 / 8 <= score.relation < 0
    assert -4 / 4 <= score.semantic < 0
    with pytest.raises(ValueError, match="the same images"):
        diswot.score(student, diswot.Sight(teacher.relations[:4, :4], teacher.semantics))


def test_looking_changes_nothing_and_takes_the_batchs_statistics(batch):
    network = random("mobilenetv2", 0, width=0.35).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    first = diswot.sight(network, *batch)
    assert network.training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    # Statistics that were gathered elsewhere do not count.
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.fill_(9.0)
    assert torch.equal(diswot.sight(network, *batch).relations, first.relations)


def test_a_network_without_one_linear_classifier_is_named():
    network = random("mobilenetv2", 0, width=0.35)
    network.body.classifier = nn.Sequential(nn.Linear(1280, 4))
    with pytest.raises(EdgekdError, match="one linear layer"):
        diswot.sight(network, torch.zeros(2, 3, 32, 32), torch.tensor([0, 1]))

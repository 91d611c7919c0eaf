"""Networks built to make lowering give other values than torch: each is lowered rightly or refused by name, never silently."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from edgekd.errors import EdgekdError
from edgekd.networks import PixelNetwork
from edgekd.quantization import operators, reference
from edgekd.quantization.lowering import lower

SIZE = 9


class Traps(nn.Module):
    """Layers that each trap below connects in its own way."""

    def __init__(self):
        super().__init__()
        self.conv, self.other = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.act, self.dropout = nn.ReLU(), nn.Dropout(0.5)
        self.norm = nn.BatchNorm2d(4)
        self.head, self.second = nn.Linear(4, 2), nn.Linear(4, 2)


class HeadBeforeUnusedOperator(Traps):
    def forward(self, x):
        x = self.act(self.conv(x)).mean((2, 3))
        logits = self.head(x)
        self.second(x)  # built last, read by none
        return logits


class UnusedAuxiliaryBranch(Traps):
    def forward(self, x):
        x = self.conv(x)
        torch.sigmoid(self.other(x)).amax((2, 3))  # neither operator has a node, and neither is needed
        return self.head(self.act(x).mean((2, 3)))  # nor does the branch make the convolution a shared one


class LastBuiltIsFirstUsed(Traps):
    def forward(self, x):
        pooled = self.act(self.conv(x)).mean((2, 3))
        second = self.second(pooled)
        first = self.head(pooled)
        return first + second


class KeywordArguments(Traps):
    def forward(self, x):
        x = torch.relu(input=self.conv(x))
        return self.head(x.mean(dim=(2, 3)))


def network_of(kind):
    torch.manual_seed(7)
    return PixelNetwork(kind().eval(), SIZE, (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)).eval()


def torch_logits(network, pixels):
    with torch.inference_mode():
        return network(torch.from_numpy(pixels).permute(0, 3, 1, 2).float()).numpy()


@pytest.mark.parametrize("kind", [HeadBeforeUnusedOperator, UnusedAuxiliaryBranch, LastBuiltIsFirstUsed])
def test_the_logits_are_what_is_returned(kind):
    network = network_of(kind)
    pixels = np.random.default_rng(1).integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8)
    graph = lower(network)
    assert reference.logits(graph, pixels) == pytest.approx(torch_logits(network, pixels), abs=1e-5)
    read = {name for node in graph.nodes for name in node.inputs}
    assert {node.name for node in graph.nodes} - read == {graph.output.name}  # nothing that none reads


class Pair(Traps):
    def forward(self, x):
        x = self.act(self.conv(x)).mean((2, 3))
        return self.head(x), self.second(x)


class Dictionary(Traps):
    def forward(self, x):
        return {"logits": self.head(self.act(self.conv(x)).mean((2, 3)))}


class Nothing(Traps):
    def forward(self, x):
        self.head(self.conv(x).mean((2, 3)))


class Map(Traps):
    def forward(self, x):
        return self.act(self.conv(x))


class Itself(Traps):
    def forward(self, x):
        return x


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        (Pair, "a tuple of 2 values"),
        (Dictionary, "a dict of 1 value"),
        (Nothing, "None"),
        (Map, r"logits \[K\].*\(9, 9, 4\)"),
        (Itself, "the pixels themselves"),
    ],
)
def test_another_output_than_one_tensor_of_logits_is_named(kind, found):
    with pytest.raises(EdgekdError, match=f"(?s){found}"):
        lower(network_of(kind))


class SharedThroughDropout(Traps):
    def forward(self, x):
        x = self.conv(x)
        activated = functional.relu(self.dropout(x))
        return self.head((activated + self.other(x)).mean((2, 3)))


class SharedByDropout(Traps):
    def forward(self, x):
        x = self.conv(x)
        also = self.dropout(x)  # reads it after the activation does
        activated = self.act(x)
        return self.head((activated + self.other(also)).mean((2, 3)))


class SharedWithNorm(Traps):
    def forward(self, x):
        x = self.dropout(self.conv(x))
        return self.head((self.norm(x) + self.other(self.dropout(x))).mean((2, 3)))


@pytest.mark.parametrize(
    ("kind", "named"),
    [(SharedThroughDropout, "relu"), (SharedByDropout, "act: ReLU"), (SharedWithNorm, "norm: BatchNorm2d")],
)
def test_a_value_that_others_read_through_a_dropout_is_not_changed(kind, named):
    with pytest.raises(EdgekdError, match=f"{named}.*of its own"):
        lower(network_of(kind))


class DropoutOfItsOwn(Traps):
    def forward(self, x):
        x = functional.relu(self.dropout(self.norm(self.dropout(self.conv(x)))))
        return self.head(self.dropout(x.mean((2, 3))))


def test_a_dropout_in_between_still_lets_operators_be_fused():
    network = network_of(DropoutOfItsOwn)
    graph = lower(network)
    assert [n.kind for n in graph.nodes] == ["input", "conv", "mean", "fully_connected"]
    assert graph.nodes[1].activation == "relu"


class Doubling(nn.Linear):
    """A linear layer by its class, another function by its forward."""

    def forward(self, x):
        return 2 * super().forward(x)


class SubclassWithAnotherForward(Traps):
    def __init__(self):
        super().__init__()
        self.doubled = Doubling(4, 4)

    def forward(self, x):
        return self.head(self.doubled(self.act(self.conv(x)).mean((2, 3))))


class HiddenInPlace(Traps):
    def forward(self, x):
        x = self.conv(x)
        x.relu_()  # read by none, but it changes what the next line reads
        return self.head(x.mean((2, 3)))


class AliasOfAnInPlaceSum(Traps):
    def forward(self, x):
        x = kept = self.conv(x)
        x += self.other(x)
        return self.head((kept + self.other(x)).mean((2, 3)))


class SecondInput(Traps):
    def forward(self, x, scale=None):
        return self.head(self.act(self.conv(x)).mean((2, 3))) + scale


class WithoutStatistics(Traps):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(4, track_running_stats=False)

    def forward(self, x):
        return self.head(self.norm(self.conv(x)).mean((2, 3)))


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        (SubclassWithAnotherForward, r"'doubled' \(fully_connected\)"),
        (HiddenInPlace, r"'mean' \(mean\)"),
        (AliasOfAnInPlaceSum, r"as torch\.fx traced it"),
        (SecondInput, "scale: a second input"),
        (WithoutStatistics, "norm: BatchNorm2d .*statistics"),
        (KeywordArguments, "relu .*positional"),
    ],
)
def test_what_would_give_other_values_is_named(kind, named):
    with pytest.raises(EdgekdError, match=named):
        lower(network_of(kind))


def test_a_wrong_rule_is_caught_at_the_first_node_that_it_changes(monkeypatch):
    rule = operators.Builder._convolution

    def forgetful(self, node, module, given):
        name = rule(self, node, module, given)
        if module.kernel_size == (3, 3):
            self.nodes[name] = self.nodes[name].model_copy(update={"padding": (0, 0, 2, 2)})
        return name

    network = network_of(LastBuiltIsFirstUsed)
    lower(network)
    monkeypatch.setattr(operators.Builder, "_convolution", forgetful)
    with pytest.raises(EdgekdError, match=r"'conv' \(conv\)"):
        lower(network)


def test_a_norm_that_computes_otherwise_is_caught():
    network = network_of(DropoutOfItsOwn)
    network.body.norm.running_mean.normal_()
    network.body.norm.running_var.uniform_(0.5, 2)
    lower(network)

    class OtherEps(nn.BatchNorm2d):
        """Computes with another epsilon than it shows."""

        def forward(self, x):
            return functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=0.1)

    network.body.norm.__class__ = OtherEps
    with pytest.raises(EdgekdError, match=r"'conv' \(conv\).*norm"):
        lower(network)

"""A rejected file's report names the layer that is to blame."""

import numpy as np
import pytest

from edgekd.artefacts import rejection
from edgekd.quantization import reference
from edgekd.quantization.folding import fold_normalization
from edgekd.quantization.graph import Graph


@pytest.fixture
def explained(float_graph, int8_graph, pixels, monkeypatch):
    """The worst layers of the int8 graph when one layer's weights are zero."""
    monkeypatch.setattr(rejection, "float_graph", lambda _: float_graph)

    def explain(layer):
        name = f"{layer}.weight"
        destroyed = int8_graph.arrays | {name: np.zeros_like(int8_graph.arrays[name])}
        return rejection.worst_layers(None, Graph(int8_graph.nodes, destroyed), pixels)

    return explain


@pytest.mark.parametrize("layer", ["stem", "wide", "dilated", "head"])
def test_a_destroyed_layer_is_named(layer, explained):
    found = explained(layer)
    assert len(found) == rejection.WORST
    assert list(found.values()) == sorted(found.values())
    assert next(iter(found)) == layer  # and none of those after it, although they get its noise
    assert found[layer] < 10 < min(list(found.values())[1:])


def test_an_intact_graph_has_little_noise(float_graph, int8_graph, pixels):
    ratios = reference.signal_to_noise(fold_normalization(float_graph, int8_graph.input.mean[0]), int8_graph, pixels)
    assert list(ratios) == [n.name for n in int8_graph.nodes[1:]]
    assert min(ratios.values()) > 20


def test_a_fall_that_may_be_chance_is_called_so():
    (advice,) = rejection.chance({"p": 0.25, "images": 296, "groups": None})
    assert "296 images the fall may be chance (McNemar p = 0.25)" in advice
    (advice,) = rejection.chance({"p": 0.25, "mcnemar_p": 0.001, "images": 296, "groups": 40})
    assert "296 images of 40 groups the fall may be chance (p by group = 0.25)" in advice
    assert rejection.chance({"p": 0.01, "mcnemar_p": 0.3, "images": 296, "groups": 40}) == []

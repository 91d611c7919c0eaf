"""Keras models as graphs: the same answers, layer by layer; what has no place is named."""

import numpy as np
import pytest

from edgekd.errors import EdgekdError
from edgekd.quantization import reference
from edgekd.quantization.folding import fold_normalization
from edgekd.quantization.graph import Add, Conv, DepthwiseConv, Mean, macs

keras = pytest.importorskip("keras")
from edgekd.keras import building, lowering  # noqa: E402

# Keras 3.15 reads tensorflow's variables through an __array__ that NumPy 2 finds old-fashioned.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
layers = keras.layers
SIZE = 16


def pixels(size, count=6):
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (count, 3, 3, 3), dtype=np.uint8)  # blobs, so that pictures differ after pooling too
    return coarse.repeat(-(-size // 3), 1).repeat(-(-size // 3), 2)[:, :size, :size]


def shaken(model, seed=0):
    """The model with weights and statistics that are nothing's neutral element."""
    rng = np.random.default_rng(seed)
    for layer in model.submodules if hasattr(model, "submodules") else model._flatten_layers():
        if not isinstance(layer, layers.Layer) or isinstance(layer, keras.Model) or not layer.weights:
            continue
        found = []
        for w in layer.get_weights():
            fan_in = np.prod(w.shape[: 2 if w.ndim == 4 and w.shape[-1] == 1 else -1])
            drawn = rng.uniform(0.5, 1.5, w.shape) if w.ndim == 1 else rng.normal(0, 1.3 / np.sqrt(fan_in), w.shape)
            found.append(drawn.astype("float32"))
        layer.set_weights(found)
    return model


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def probs_of(model, images):
    outputs = keras.ops.convert_to_numpy(model(images.astype("float32"), training=False))
    return np.concatenate([1 - outputs, outputs], axis=1) if outputs.shape[1] == 1 else outputs


def same_answers(model, size=SIZE):
    """The model's graph, which gives the model's probabilities within 1e-4."""
    lowered = lowering.lower(model)
    graph, images = lowered.fold(), pixels(size)
    found = softmax(reference.logits(graph, images))
    np.testing.assert_allclose(found, probs_of(model, images), atol=1e-4)
    assert found.std(0).max() > 1e-3  # the pictures do tell
    return lowered, graph


def mobilenet(outputs=3, ending="softmax", size=32):
    """MobileNetV2 as tutorials adapt it: the model inside a model, its preprocessing as arithmetic."""
    inputs = keras.Input((size, size, 3))
    x = keras.applications.mobilenet_v2.preprocess_input(inputs)
    base = keras.applications.MobileNetV2((size, size, 3), alpha=0.35, include_top=False, weights=None)
    x = layers.GlobalAveragePooling2D()(base(x, training=False))
    return keras.Model(inputs, layers.Dense(outputs, activation=ending)(layers.Dropout(0.2)(x)))


@pytest.mark.parametrize(("outputs", "ending"), [(3, "softmax"), (1, "sigmoid")])
def test_mobilenetv2_answers_the_same(outputs, ending):
    lowered, graph = same_answers(shaken(mobilenet(outputs, ending)), 32)
    assert lowered.mean == lowered.std == (0.5, 0.5, 0.5)
    kinds = [type(node) for node in graph.nodes]
    assert (kinds.count(Conv), kinds.count(DepthwiseConv), kinds.count(Add), kinds.count(Mean)) == (35, 17, 10, 1)
    assert sum(a.size for a in graph.arrays.values()) < lowered.parameters  # batch normalization is folded
    assert {n.activation for n in graph.nodes if isinstance(n, DepthwiseConv)} == {"relu6"}
    assert macs(graph) > 1e6


@pytest.mark.parametrize("size", [15, 16])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [2, 3, 5])
def test_padding_same_is_tensorflows(size, stride, kernel):
    model = keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, kernel, strides=stride, padding="same"),
            layers.DepthwiseConv2D(kernel, strides=stride, padding="same"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    same_answers(shaken(model), size)


def everything():
    """A functional model with all that the graph holds."""
    inputs = keras.Input((SIZE, SIZE, 3))
    x = layers.RandomFlip("horizontal")(inputs)
    x = layers.Normalization(mean=[100.0, 110.0, 120.0], variance=[400.0, 900.0, 1600.0])(x)
    x = layers.ZeroPadding2D(((1, 2), (0, 3)))(x)
    x = layers.Conv2D(8, 3, strides=2, use_bias=False, name="a conv/2"[:6])(x)
    x = layers.BatchNormalization(scale=False)(x)
    x = stem = layers.ReLU(6.0)(x)
    x = layers.SeparableConv2D(8, 3, padding="same", activation="relu")(x)
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(center=False)(x)
    x = layers.Activation("relu6")(x)
    x = layers.Conv2D(8, 1, dilation_rate=2)(x)
    x = layers.Add()([stem, x])
    x = layers.Activation("relu")(x)
    x = keras.ops.relu6(layers.Conv2D(8, 3, groups=8, padding="same")(x)) + x
    x = layers.SpatialDropout2D(0.1)(x)
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(12, activation="relu", use_bias=False)(x)
    x = layers.Dropout(0.5)(x)
    x = layers.Dense(4)(x)
    return keras.Model(inputs, layers.Softmax()(x))


def test_every_layer_that_the_graph_holds():
    _, graph = same_answers(shaken(everything()))
    padded = next(node for node in graph.nodes if isinstance(node, Conv))
    assert padded.padding == (1, 0, 2, 3)
    assert graph.input.mean == pytest.approx((100, 110, 120))
    assert graph.input.std == pytest.approx((20, 30, 40))
    fold_normalization(graph)  # the first to read the pixels is a convolution


def test_a_saved_model_is_lowered_to_the_same_bits(tmp_path):
    model = shaken(everything())
    before = lowering.lower(model)
    model.save(tmp_path / "model.keras")
    after = lowering.lower(keras.saving.load_model(tmp_path / "model.keras"))
    assert before.graph == after.graph
    assert all(np.array_equal(before.tensors[k], after.tensors[k]) for k in before.tensors | after.tensors)


def one_logit():
    inputs = keras.Input((SIZE, SIZE, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(6, 3, activation="relu")(inputs / 255))
    return keras.Model(inputs, layers.Dense(1)(x))


def test_one_logit_speaks_for_the_second_class():
    model = shaken(one_logit())
    graph, images = lowering.lower(model).fold(), pixels(SIZE)
    z = reference.logits(graph, images)
    expected = keras.ops.convert_to_numpy(model(images.astype("float32")))[:, 0]
    np.testing.assert_allclose(z[:, 1] - z[:, 0], expected, atol=1e-4)
    assert graph.input.std == (255, 255, 255)


def functional(tail, size=SIZE):
    inputs = keras.Input((size, size, 3))
    x = layers.Conv2D(4, 3, padding="same", name="first")(layers.Rescaling(1 / 255)(inputs))
    return keras.Model(inputs, tail(x, inputs))


def pooled(x, units=3):
    return layers.Dense(units, activation="softmax")(layers.GlobalAveragePooling2D()(x))


class Own(layers.ReLU):
    """A subclass, which may do anything."""


BAD = {
    "MaxPooling2D": lambda x, _: pooled(layers.MaxPooling2D(name="pool")(x)),
    "LeakyReLU": lambda x, _: pooled(layers.LeakyReLU()(x)),
    r"ReLU \(only plain": lambda x, _: pooled(layers.ReLU(max_value=5)(x)),
    "activation swish|activation silu": lambda x, _: pooled(layers.Conv2D(4, 1, activation="swish")(x)),
    "of more than one position": lambda x, _: layers.Dense(3)(layers.Flatten()(x)),
    r"Dense \(not after": lambda x, _: layers.GlobalAveragePooling2D()(layers.Dense(3)(x)),
    "2 groups of 4": lambda x, _: pooled(layers.Conv2D(4, 1, groups=2)(x)),
    "depth_multiplier 2": lambda x, _: pooled(layers.DepthwiseConv2D(3, depth_multiplier=2)(x)),
    "BatchNormalization": lambda x, _: pooled(layers.BatchNormalization()(layers.Add()([x, x]))),
    "of a class of its own|a class of its own": lambda x, _: pooled(Own()(x)),
    "only at the input": lambda x, _: pooled(layers.Rescaling(0.5)(x)),
    "of its own": lambda x, _: pooled(layers.Add()([layers.ReLU()(x), x])),
    "not of two convolutions": lambda x, _: pooled(layers.Add()([x, x, x])),
    "2 inputs": lambda x, _: pooled(layers.Concatenate()([x, x])),
    "normalized in another way": lambda x, i: pooled(layers.Add()([x, layers.Conv2D(4, 3, padding="same")(i)])),
    "sigmoids": lambda x, _: layers.Dense(3, activation="sigmoid")(layers.GlobalAveragePooling2D()(x)),
    "activation softmax": lambda x, _: pooled(layers.Activation("softmax")(x)),
    "not logits": lambda x, _: layers.ReLU()(x),
}


@pytest.mark.parametrize("said", BAD)
def test_what_has_no_place_is_named(said):
    with pytest.raises(EdgekdError, match=said):
        lowering.lower(shaken(functional(BAD[said])))


def test_all_problems_are_named_at_once():
    def tail(x, _):
        x = layers.MaxPooling2D(name="pool")(x)
        return pooled(layers.PReLU(name="bend")(layers.BatchNormalization(name="norm")(x)))

    with pytest.raises(EdgekdError) as raised:
        lowering.lower(functional(tail))
    assert "2 problems" in str(raised.value)
    assert all(part in str(raised.value) for part in ("pool: MaxPooling2D", "bend: PReLU"))
    assert "norm" not in str(raised.value)  # what follows a problem need not be one


def test_models_of_other_inputs_are_refused():
    for shape in ((None, None, 3), (8, 9, 3), (8, 8, 1), (12,)):
        x = inputs = keras.Input(shape)
        x = layers.GlobalAveragePooling2D()(layers.Conv2D(2, 1)(x)) if len(shape) > 1 else x
        with pytest.raises(EdgekdError, match="square RGB"):
            lowering.lower(keras.Model(inputs, layers.Dense(2)(x)))
    inputs = keras.Input((8, 8, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(2, 1)(inputs))
    with pytest.raises(EdgekdError, match="one output"):
        lowering.lower(keras.Model(inputs, [layers.Dense(2)(x), layers.Dense(3)(x)]))


def test_a_wrong_rule_is_found_out(monkeypatch):
    monkeypatch.setattr(building, "same", lambda length, span, stride: (1, 0))
    model = functional(lambda x, _: pooled(layers.Conv2D(4, 3, strides=2, padding="same", name="second")(x)))
    with pytest.raises(EdgekdError, match=r"second|first"):
        lowering.lower(shaken(model))

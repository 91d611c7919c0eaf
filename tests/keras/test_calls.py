"""What a Keras model calls, and how its answers end, whichever way it was put together."""

import numpy as np
import pytest

from edgekd.errors import EdgekdError

keras = pytest.importorskip("keras")
from edgekd.keras import calls  # noqa: E402

layers = keras.layers


def model(*tail, inputs=None):
    inputs = keras.Input((4, 4, 3)) if inputs is None else inputs
    x = layers.GlobalAveragePooling2D()(inputs)
    for layer in tail:
        x = layer(x)
    return keras.Model(inputs, x)


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        ((layers.Dense(3),), "linear"),
        ((layers.Dense(3, activation="softmax"),), "softmax"),
        ((layers.Dense(3), layers.Softmax()), "softmax"),
        ((layers.Dense(3), layers.Activation("softmax"), layers.Activation("linear"), layers.Dropout(0.1)), "softmax"),
        ((layers.Dense(1), layers.Activation("sigmoid")), "sigmoid"),
        ((layers.Dense(1), keras.ops.sigmoid), "sigmoid"),
        ((layers.Dense(3), keras.ops.softmax), "softmax"),
    ],
)
def test_the_end_is_seen(tail, expected):
    assert calls.ending(model(*tail)) == expected


def test_the_end_of_a_model_inside_a_model_is_seen():
    inner = keras.Sequential([keras.Input((3,)), layers.Dense(4, activation="softmax")], name="inner")
    found = calls.of(model(inner))
    assert [call.path.split("/")[0] for call in found.steps][1:] == ["inner"]
    assert calls.ending(model(inner)) == "softmax"


def test_another_end_is_an_error():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(3, activation="softmax")

        def call(self, x):
            return self.dense(x)

    with pytest.raises(EdgekdError, match="an end of its own"):
        calls.ending(model(Own()))
    with pytest.raises(EdgekdError, match="'tanh'"):
        calls.ending(model(layers.Dense(3, activation="tanh")))
    with pytest.raises(EdgekdError, match="'log_softmax'"):
        calls.ending(model(layers.Dense(3), keras.ops.log_softmax))


def test_a_functional_class_of_its_own_is_unrolled():
    class Task(keras.Model):
        """As libraries on Keras write their classifiers."""

        def __init__(self, classes):
            inputs = keras.Input((4, 4, 3))
            super().__init__(inputs, layers.Dense(classes)(layers.GlobalAveragePooling2D()(inputs)))
            self.classes = classes

        def get_config(self):
            return {"classes": self.classes}

    found = calls.of(Task(3))
    assert [type(call.operation).__name__ for call in found.steps] == ["GlobalAveragePooling2D", "Dense"]


def test_what_is_not_read_is_not_called_and_what_is_called_twice_is_there_twice():
    inputs = keras.Input((4, 4, 3))
    shared = layers.Conv2D(3, 1, name="shared")
    layers.Conv2D(5, 1, name="dead")(inputs)
    found = calls.of(model(layers.Dense(2), inputs=inputs)).steps
    twice = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(shared(shared(inputs)))))
    assert [call.path for call in calls.of(twice).steps][:2] == ["shared", "shared"]
    assert "dead" not in [call.path for call in found]


def test_arrays_among_the_arguments_come_back():
    inputs = keras.Input((4, 4, 3))
    mean = np.array([1.0, 2.0, 3.0], "float32")
    x = layers.GlobalAveragePooling2D()(inputs - mean)
    call = calls.of(keras.Model(inputs, layers.Dense(2)(x))).steps[0]
    assert any(np.array_equal(np.ravel(a), mean) for a in call.arguments if not isinstance(a, calls.Value))

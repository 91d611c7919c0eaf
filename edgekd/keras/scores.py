"""Scores of a Keras model's answers, for models that end in logits, softmax or sigmoid, with labels or one-hot targets.

With two classes precision, recall and AUC are those of the second one; with more they are means over the classes.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from edgekd.keras import answers
from edgekd.keras.calls import Ending

LARGEST, BINS = 20.0, 2000  # of log-odds; what is surer counts as this
registered = keras.saving.register_keras_serializable("edgekd")


class _Score(keras.metrics.Metric):
    """A metric over all classes; `counts` [true, found] are of all answers so far."""

    def __init__(self, classes: int, ending: Ending, name: str, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.classes, self.ending = classes, ending
        self.counts = self.add_variable((classes, classes), initializer="zeros", name="counts")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in one batch."""
        true, p = answers.targets(y_true, self.classes), answers.probs(y_pred, self.ending)
        found = ops.one_hot(ops.argmax(p, axis=-1), self.classes, dtype="float32")
        if sample_weight is not None:
            true = true * ops.reshape(ops.cast(sample_weight, "float32"), (-1, 1))
        self.counts.assign_add(ops.matmul(ops.transpose(true), found))

    def get_config(self) -> dict[str, Any]:
        """Settings, for saving."""
        return super().get_config() | {"classes": self.classes, "ending": self.ending}

    def _share(self, axis: int) -> Any:
        """The diagonal's share of the sums along an axis; 0 of nothing."""
        right, total = ops.diagonal(self.counts), ops.sum(self.counts, axis=axis)
        shares = right / ops.maximum(total, 1e-7)
        return shares[1] if self.classes == 2 else ops.mean(shares)


@registered
class Accuracy(_Score):
    """The share of right answers."""

    def result(self) -> Any:
        """Of all batches so far."""
        return ops.sum(ops.diagonal(self.counts)) / ops.maximum(ops.sum(self.counts), 1e-7)


@registered
class Precision(_Score):
    """Of the answers that name a class, the share that is right."""

    def result(self) -> Any:
        """Of all batches so far."""
        return self._share(axis=0)


@registered
class Recall(_Score):
    """Of a class's images, the share that is found."""

    def result(self) -> Any:
        """Of all batches so far."""
        return self._share(axis=1)


@registered
class Auc(keras.metrics.Metric):
    """The area under the ROC curve, one class against the rest, of log-odds in bins of 0.02; ties count half.

    Keras's own has 200 thresholds on probabilities, which tell a sure network's answers from each other no longer.
    `counts` [2, K, BINS]: images of other classes, and of the class, by the class's log-odds.
    """

    def __init__(self, classes: int, ending: Ending, name: str, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.classes, self.ending = classes, ending
        self.counts = self.add_variable((2, classes, BINS), initializer="zeros", name="counts")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in one batch."""
        true, z = answers.targets(y_true, self.classes), answers.logits(y_pred, self.ending)
        others = ops.where(ops.eye(self.classes) > 0, -1e9, z[:, None, :])  # [B, K, K], without the class itself
        places = (z - ops.logsumexp(others, axis=-1) + LARGEST) * (BINS / (2 * LARGEST))
        bins = ops.cast(ops.clip(places, 0, BINS - 1), "int32") + BINS * ops.arange(self.classes, dtype="int32")
        weight = 1.0 if sample_weight is None else ops.reshape(ops.cast(sample_weight, "float32"), (-1, 1))
        found = [
            ops.segment_sum(ops.reshape(part * weight, (-1,)), ops.reshape(bins, (-1,)), BINS * self.classes)
            for part in (1 - true, true)
        ]
        self.counts.assign_add(ops.reshape(ops.stack(found), (2, self.classes, BINS)))

    def result(self) -> Any:
        """Of all batches so far; of more than two classes, the mean over those that have images and are not all."""
        rest, own = self.counts[0], self.counts[1]
        above = ops.sum(own, axis=1, keepdims=True) - ops.cumsum(own, axis=1)
        pairs = ops.sum(rest, axis=1) * ops.sum(own, axis=1)
        areas = ops.sum(rest * (above + own / 2), axis=1) / ops.maximum(pairs, 1e-7)
        return areas[1] if self.classes == 2 else ops.sum(areas) / ops.maximum(ops.sum(ops.sign(pairs)), 1)

    def get_config(self) -> dict[str, Any]:
        """Settings, for saving."""
        return super().get_config() | {"classes": self.classes, "ending": self.ending}


NAMED = {"accuracy": Accuracy, "precision": Precision, "recall": Recall, "auc": Auc}

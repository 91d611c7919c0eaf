"""Answers of Keras models, whichever way they end: logits, probabilities and targets over the classes.

A single output is the logit, or the sigmoid, of the second of two classes.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from edgekd.keras.calls import Ending

LEAST = 1e-30  # a probability that float32 still holds; 1 - p is at least EPSILON
EPSILON = 2.0**-24


def logits(outputs: Any, ending: Ending) -> Any:
    """Logits [B, K], K >= 2, up to a constant per row, of a model's outputs [B, K] or [B, 1].

    softmax(log p / T) is softmax(z / T), so the logarithm of probabilities does as well as the logits they came from.
    """
    outputs = ops.cast(outputs, "float32")
    if ending == "sigmoid":
        p = ops.clip(outputs, LEAST, 1 - EPSILON)
        outputs = ops.log(p) - ops.log1p(-p)
    elif ending == "softmax":
        outputs = ops.log(ops.maximum(outputs, LEAST))
    return outputs if outputs.shape[-1] > 1 else ops.concatenate([ops.zeros_like(outputs), outputs], axis=-1)


def probs(outputs: Any, ending: Ending) -> Any:
    """Probabilities [B, K], K >= 2, of a model's outputs."""
    return ops.softmax(logits(outputs, ending), axis=-1)


def targets(y: Any, classes: int) -> Any:
    """Targets [B, K] of labels [B] or [B, 1], or of targets [B, K], whose rows sum to 1."""
    y = ops.convert_to_tensor(y)
    if len(y.shape) == 2 and y.shape[-1] == classes:
        return ops.cast(y, "float32")
    return ops.one_hot(ops.cast(ops.reshape(y, (-1,)), "int32"), classes, dtype="float32")


def cross_entropy(y: Any, outputs: Any, ending: Ending) -> Any:
    """Cross-entropy [B] of the labels or targets `y`."""
    z = logits(outputs, ending)
    return -ops.sum(targets(y, z.shape[-1]) * ops.log_softmax(z, axis=-1), axis=-1)


def divergence(teacher: Any, student: Any, temperature: float) -> Any:
    """T² · KL(p_T ‖ p_S), batch mean, of logits [B, K]; 0 when both agree (Hinton et al., 2015)."""
    log_teacher = ops.log_softmax(teacher / temperature, axis=-1)
    log_student = ops.log_softmax(student / temperature, axis=-1)
    return temperature**2 * ops.mean(ops.sum(ops.exp(log_teacher) * (log_teacher - log_student), axis=-1))

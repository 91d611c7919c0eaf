"""`Distiller`: a Keras student learns from labels and from a frozen teacher, on `keras.distillation` (Keras 3.12 and later).

What `keras.distillation.Distiller` with `LogitsDistillation` does as of Keras 3.15, read and tried:

- Its loss is w · task + (1 - w) · distillation, and with "kl_divergence" the latter is T² · KL(p_T ‖ p_S), batch mean: the T²
  is there (with any other loss it is not). Probabilities are clipped to [1e-7, 1] before their logarithm.
- It takes outputs for logits. Of a model that ends in softmax it takes the softmax again, and of a single sigmoid output the
  softmax over one class, whose divergence is 0: such a teacher teaches nothing, and nobody is told.
- Metrics get the outputs as they are: precision, recall and AUC of logits are an error or wrong.
- It passes over `sample_weight`, and with it the `class_weight` of `fit`.
- `evaluate` and validation run the teacher too. A loaded one is not compiled.

The class here mends that, and keeps the rest: the checks, the frozen teacher, the three running losses.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
from keras import ops

from edgekd.errors import EdgekdError
from edgekd.keras import answers, calls
from edgekd.keras.calls import Ending
from edgekd.keras.scores import NAMED, registered

BACKENDS = ("tensorflow", "torch")
OF_TEACHING = ("total_loss", "distillation_loss")  # what is logged of training alone


class SoftAnswers(keras.distillation.LogitsDistillation):
    """T² · KL(p_T ‖ p_S) of two models' outputs, whichever way each ends."""

    def __init__(self, temperature: float, teacher: Ending, student: Ending) -> None:
        super().__init__(temperature=temperature)
        self.teacher, self.student = teacher, student

    def compute_loss(self, teacher_outputs: Any, student_outputs: Any, **kwargs: Any) -> Any:
        """The loss of one batch."""
        teacher, student = answers.logits(teacher_outputs, self.teacher), answers.logits(student_outputs, self.student)
        return answers.divergence(ops.stop_gradient(teacher), student, self.temperature)


@registered
class Distiller(keras.distillation.Distiller):
    """Trains `student` on alpha · CE(labels) + (1 - alpha) · T² · KL(teacher ‖ student).

    Teacher and student are functional or sequential models of one input and one output: [B, K] logits or softmax
    probabilities, or [B, 1], the logit or sigmoid of the second of two classes. Labels are whole numbers [B] or [B, 1], or
    targets [B, K]. Training logs `loss`, `total_loss` (the same), `student_loss`, `distillation_loss` and the metrics;
    `evaluate` and validation run the student alone, and their `loss` is its cross-entropy. `alpha` = 1 is the control.
    Raises: EdgekdError for models or settings that do not fit.
    """

    def __init__(
        self, student: Any, teacher: Any, temperature: float = 5.0, alpha: float = 0.5, name: str = "distiller"
    ) -> None:
        _check(student, teacher, temperature, alpha)
        self.endings = {"teacher": calls.ending(teacher), "student": calls.ending(student)}
        soft = SoftAnswers(float(temperature), **self.endings)
        super().__init__(teacher, student, [soft], student_loss_weight=float(alpha), name=name)
        self.temperature, self.alpha = float(temperature), float(alpha)
        self.classes = max(calls.tensors(student)[1].shape[-1], 2)

    def compile(
        self,
        optimizer: Any = "adam",
        metrics: Iterable[Any] | None = tuple(NAMED),
        **kwargs: Any,
    ) -> None:
        """Compile for `fit`; metrics named `accuracy`, `precision`, `recall`, `auc` understand every ending.

        Metrics that are objects get labels and outputs as they are. The loss is the class's own.
        Raises: EdgekdError for another loss.
        """
        if kwargs.pop("loss", None) is not None:
            raise EdgekdError("Distiller.compile", "no loss", "one", "leave it out: it is cross-entropy and T² KL")
        ending = self.endings["student"]
        made = [
            NAMED[m](self.classes, ending, name=m) if isinstance(m, str) and m in NAMED else m for m in metrics or ()
        ]
        super().compile(optimizer=optimizer, loss=self._task_losses, metrics=made, **kwargs)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as the saved one was; `keras.saving.load_model` calls it."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The loss of one batch: of training the sum, else the student's cross-entropy alone."""
        outputs = self(x, training=training) if y_pred is None else y_pred
        losses = self._task_losses(y, outputs)
        task = ops.mean(losses if sample_weight is None else losses * ops.reshape(sample_weight, (-1,)))
        count = ops.shape(outputs)[0]
        self.student_loss_tracker.update_state(task, sample_weight=count)
        if not training:
            return task
        distillation = ops.zeros_like(task)
        if self.alpha < 1:
            distillation = self.distillation_losses[0].compute_loss(self.teacher(x, training=False), outputs)
        total = self.alpha * task + (1 - self.alpha) * distillation
        for penalty in self.student.losses:
            total = total + penalty
        self.distillation_loss_tracker.update_state(distillation, sample_weight=count)
        self.total_loss_tracker.update_state(total, sample_weight=count)
        return total

    def test_step(self, *args: Any) -> dict[str, Any]:
        """One batch of `evaluate` or validation: the student's measures alone."""
        return {name: value for name, value in super().test_step(*args).items() if name not in OF_TEACHING}

    def get_config(self) -> dict[str, Any]:
        """Models and settings, for saving."""
        models = {"student": self.student, "teacher": self.teacher}
        config = {name: keras.saving.serialize_keras_object(model) for name, model in models.items()}
        return config | {"temperature": self.temperature, "alpha": self.alpha, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Distiller:
        """The distiller of a configuration."""
        models = {name: keras.saving.deserialize_keras_object(config[name]) for name in ("student", "teacher")}
        return cls(**(config | models))

    def _task_losses(self, y: Any, outputs: Any) -> Any:
        return answers.cross_entropy(y, outputs, self.endings["student"])


def _check(student: Any, teacher: Any, temperature: float, alpha: float) -> None:
    where, ends = "Distiller", []
    if keras.config.backend() not in BACKENDS:
        raise EdgekdError(f"{where}, KERAS_BACKEND", " or ".join(BACKENDS), keras.config.backend())
    for role, model in (("student", student), ("teacher", teacher)):
        if not isinstance(model, keras.Model):
            raise EdgekdError(f"{where}, {role}", "a Keras model", type(model).__name__)
        calls.of(model)
        ends.append([tuple(tensor.shape) for tensor in calls.tensors(model)])
        if len(ends[-1][1]) != 2:
            raise EdgekdError(f"{where}, {role}", "outputs [B, K]", f"shape {ends[-1][1]}")
    (given, answer), (seen, taught) = ends
    if answer[1] != taught[1]:
        raise EdgekdError(f"{where}, student and teacher", "as many outputs of both", f"{answer[1]} and {taught[1]}")
    if given[1:] != seen[1:]:
        todo = "begin the teacher with keras.layers.Resizing"
        raise EdgekdError(f"{where}, student and teacher", "inputs of one shape", f"{given[1:]} and {seen[1:]}", todo)
    if not student.trainable_weights:
        todo = "student.trainable = True (whoever teaches is frozen from then on)"
        raise EdgekdError(f"{where}, student", "weights that learn", "none", todo)
    if not temperature > 0:
        raise EdgekdError(f"{where}, temperature", "a number above 0", str(temperature))
    if not 0 <= alpha <= 1:
        raise EdgekdError(f"{where}, alpha", "a number of 0 to 1", str(alpha))

"""A committee as a teacher: what each member says comes from its own store, and is combined when it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from edgekd.distillation.batch import Batch
from edgekd.distillation.loss import Loss, Values
from edgekd.distillation.teacher_outputs import TeacherOutputs
from edgekd.networks.committee import log_mean


class CommitteeOutputs:
    """What several teachers say together: logits z with softmax(z / T) = the weighted mean over members of softmax(z_m / T).

    So every loss on logits finds the mean of the members' softened answers at the temperature T that it teaches with. A member
    is added without asking the others again.
    """

    def __init__(self, members: Sequence[TeacherOutputs], weights: Sequence[float], temperature: float) -> None:
        self.members, self.weights, self.temperature = members, weights, temperature

    @property
    def calls(self) -> int:
        """The batches that members ran for."""
        return sum(member.calls for member in self.members)

    def of(self, batch: Batch, losses: Mapping[str, Loss]) -> tuple[Tensor, dict[str, Values]]:
        """Logits [B, K] for the views of a batch; a committee has no features, so `losses` that read them find none."""
        del losses
        said = [member.of(batch, {})[0] / self.temperature for member in self.members]
        return self.temperature * log_mean(said, self.weights), {}

    def logits(self, batch: Batch) -> Tensor:
        """Logits [B, K] float32 for the views of a batch."""
        return self.of(batch, {})[0]

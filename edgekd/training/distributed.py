"""Several processes under torchrun that together compute what one process would.

The global batch is dealt row by row to the processes; batch normalization uses the statistics of the global batch and
losses see the logits of the global batch, so the numbers agree with a single process up to float rounding.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from edgekd.errors import EdgekdError
from edgekd.networks.moments import moments

# The first process decodes, evaluates and writes alone, on a large set for hours, and torch gives up after minutes. A dead
# process hides in no such wait, as torchrun then ends all. The messages of training itself keep torch's limits: there every
# process is seconds away, and a longer silence is a fault.
PATIENCE = timedelta(days=7)


@dataclass(frozen=True)
class Processes:
    """This process's place among all, its device, and the group in which all wait for the first."""

    rank: int
    count: int
    device: torch.device
    waiting: dist.ProcessGroup | None = None

    @property
    def is_first(self) -> bool:
        """Whether this process prints and writes."""
        return self.rank == 0

    def barrier(self) -> None:
        """Wait for all processes, however long one takes."""
        if self.count > 1:
            dist.barrier(self.waiting)

    def decide(self, verdict: bool) -> bool:
        """The first process's `verdict`, for all: what is on disk may change before another one looks."""
        if self.count == 1:
            return verdict
        told = torch.tensor(int(verdict))
        dist.broadcast(told, src=0, group=self.waiting)
        return bool(told)

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a scalar over all processes, without gradient."""
        if self.count == 1:
            return value
        total = value.detach().clone()
        dist.all_reduce(total)
        return total / self.count

    def share(self, batch_rows: int) -> slice:
        """This process's part of a global batch; all parts are of equal size."""
        if batch_rows % self.count:
            raise EdgekdError("training.batch_size", f"a multiple of the {self.count} processes", f"{batch_rows}")
        part = batch_rows // self.count
        return slice(self.rank * part, (self.rank + 1) * part)

    def gather(self, rows: Tensor) -> Tensor:
        """The rows of all processes in order; gradients flow into this process's own rows only."""
        if self.count == 1:
            return rows
        parts = [torch.empty_like(rows) for _ in range(self.count)]
        dist.all_gather(parts, rows.detach().contiguous())
        parts[self.rank] = rows
        return torch.cat(parts)

    def once(self, value: Tensor) -> Tensor:
        """What all processes compute alike, and not of their own rows: its gradient flows in the first only."""
        return value if self.is_first else value.detach()

    def gradient_scale(self) -> int:
        """What undoes DistributedDataParallel's averaging, as every process differentiates the whole batch's loss."""
        return self.count

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network ready for a training step: global batch statistics and summed gradients if processes are many."""
        if self.count == 1:
            return network
        use_global_batch_norm(network)
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.register_hook(functools.partial(_laid_out, parameter.stride()))
        ids = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=ids, forward_sync_buffers=False)


def _laid_out(stride: tuple[int, ...], gradient: Tensor) -> Tensor:
    """The gradient in its parameter's memory format, as messages want it; second derivatives come in another one."""
    if gradient.stride() == stride:
        return gradient
    return torch.empty_strided(gradient.shape, stride, dtype=gradient.dtype, device=gradient.device).copy_(gradient)


def start() -> Processes:
    """The processes that torchrun started, or this one alone; nccl on GPUs, gloo on CPUs."""
    count, local = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("LOCAL_RANK", 0))
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if count > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if cuda else "gloo")
    if count == 1:
        return Processes(0, 1, device)
    return Processes(dist.get_rank(), count, device, dist.new_group(backend="gloo", timeout=PATIENCE))


def stop() -> None:
    """Leave the process group, if there is one."""
    if dist.is_initialized():
        dist.destroy_process_group()


def use_global_batch_norm(network: nn.Module) -> None:
    """Make every batch normalization of `network` normalize with the statistics of all processes in training mode.

    torch's SyncBatchNorm does the same on GPUs only.
    """
    for module in network.modules():
        if isinstance(module, _BatchNorm) and not isinstance(module, _GlobalBatchNorm):
            own = type(module)
            module.__class__ = type(f"Global{own.__name__}", (_GlobalBatchNorm, own), {})


class _GlobalBatchNorm(_BatchNorm):
    """Mixed in before a BatchNorm1d or 2d class (timm's fused activations included); needs momentum, running statistics."""

    act: nn.Module  # of timm's BatchNormAct2d, which has both
    drop: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        mean, var, count = moments(x)
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * (count / (count - 1)), self.momentum)
        scale = self.weight * torch.rsqrt(var + self.eps)
        shift = self.bias - mean * scale
        per_channel = (-1, *[1] * (x.ndim - 2))
        y = (x * scale.view(per_channel) + shift.view(per_channel)).to(x.dtype)
        if hasattr(self, "act"):  # timm's BatchNormAct2d
            y = self.act(self.drop(y))
        return y

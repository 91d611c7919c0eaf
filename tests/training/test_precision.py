"""bfloat16 is for devices that compute it: elsewhere it is imitated, several times slower than float32."""

import pytest
import torch

from edgekd.training import precision, stages

CPU = torch.device("cpu")


@pytest.mark.parametrize(("bf16", "expected"), [(True, torch.bfloat16), (False, None)])
def test_a_processor_without_bfloat16_takes_float32(monkeypatch, bf16, expected):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: bf16, raising=False)
    assert precision.autocast_dtype("bf16", CPU) is expected
    assert precision.autocast_dtype("auto", CPU) is None
    assert precision.autocast_dtype("fp32", CPU) is None


@pytest.mark.parametrize(
    ("wanted", "bf16", "said"), [("bf16", False, True), ("bf16", True, False), ("auto", False, False)]
)
def test_what_the_device_lacks_is_said_before_training(prepare, monkeypatch, tmp_path, wanted, bf16, said):
    monkeypatch.setattr(precision, "has_bf16", lambda device: bf16)
    run = prepare()
    with run.console.capture() as screen:
        run.console.quiet = False
        stages.announce_network(run, "student", stages.build(run.recipe.student, 4, 32), wanted)
    assert ("in float32 (nothing here computes bfloat16)" in " ".join(screen.get().split())) == said
    assert "parameters" in screen.get()

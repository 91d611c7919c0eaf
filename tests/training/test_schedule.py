"""Learning rates by hand."""

import math

import pytest

from edgekd.recipe import TrainingRecipe
from edgekd.training.schedule import Schedule


def test_warm_up_then_cosine():
    s = Schedule(TrainingRecipe(epochs=11, warmup_epochs=1, learning_rate=1.0, min_learning_rate=0.1), 10)
    assert [s.learning_rate(i) for i in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert s.learning_rate(10) == pytest.approx(1.0)
    assert s.learning_rate(10 + 25) == pytest.approx(0.1 + 0.9 * (1 + math.cos(math.pi / 4)) / 2)
    assert s.learning_rate(10 + 50) == pytest.approx(0.55)
    assert s.learning_rate(110) == pytest.approx(0.1)


def test_plateau_waits_its_patience_then_lowers():
    settings = TrainingRecipe(
        epochs=20, warmup_epochs=0, learning_rate=1.0, schedule="plateau", plateau_patience=2, plateau_factor=0.1
    )
    s = Schedule(settings, 10)
    rates = []
    for nll in (1.0, 0.9, 0.95, 0.95, 0.95, 0.8, 0.9, 0.9, 0.9):
        s.after_epoch(nll)
        rates.append(s.learning_rate(50))
    assert rates == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.1, 0.1, 0.01])


def test_state_survives_a_restart():
    settings = TrainingRecipe(schedule="plateau", plateau_patience=0)
    a, b = Schedule(settings, 5), Schedule(settings, 5)
    for nll in (1.0, 2.0, 3.0):
        a.after_epoch(nll)
    b.restore(a.state())
    assert b.learning_rate(99) == a.learning_rate(99)

"""The grid of answers: which pictures are in it, and that right and wrong are marked as they are."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from edgekd.reports import prediction_grid


@pytest.fixture
def answers():
    """Probabilities [40, 3] and labels: of every five answers the first is wrong, each a little surer than the one before."""
    labels = np.arange(40) % 3
    answer = np.where(np.arange(40) % 5 == 0, (labels + 1) % 3, labels)
    sure = 0.5 + np.arange(40) / 100
    probs = np.repeat((1 - sure)[:, None] / 2, 3, axis=1)
    probs[np.arange(40), answer] = sure
    return probs, labels


def test_some_are_drawn_at_random_and_the_surest_mistakes_come_first(answers):
    drawn, wrong = prediction_grid.chosen(*answers)
    assert len(set(drawn.tolist())) == len(drawn) == 12
    assert wrong.tolist() == [35, 30, 25, 20, 15, 10, 5, 0]
    assert set(prediction_grid.chosen(*answers, seed=1)[0].tolist()) != set(drawn.tolist())
    few = prediction_grid.chosen(answers[0][:3], answers[1][:3])
    assert (sorted(few[0].tolist()), few[1].tolist()) == ([0, 1, 2], [0])


def test_right_and_wrong_are_marked(answers, tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: figures.append(self))
    pixels = np.zeros((40, 8, 8, 3), np.uint8)
    names = ("glioma", "no $tumour$ at all, whatever one may think", "Ελληνικά")
    prediction_grid.draw(pixels, *answers, names, tmp_path / "grid.png")
    (figure,) = figures
    panels = [axes for sub in figure.subfigs for axes in sub.axes if axes.images]
    drawn, wrong = prediction_grid.chosen(*answers)
    assert len(panels) == len(drawn) + len(wrong)
    for axes, row in zip(panels, [*drawn, *wrong], strict=True):
        is_right = row % 5 != 0
        title = axes.get_title()
        assert title.startswith("✓" if is_right else "✗")
        assert f"{50 + row} %" in title
        assert ("\nis " in title) == (not is_right)
        assert {spine.get_edgecolor()[:3] for spine in axes.spines.values()} == {
            tuple(int(c[i : i + 2], 16) / 255 for i in (1, 3, 5))
            for c in (prediction_grid.GREEN if is_right else prediction_grid.RED,)
        }
    right = sum(row % 5 != 0 for row in drawn)
    titles = [sub.get_suptitle() for sub in figure.subfigs]
    assert titles == [f"12 of 40 images, drawn at random: {right} right", "the 8 surest of 8 wrong answers"]


def test_without_a_mistake_there_is_one_part(tmp_path):
    probs = np.eye(2)[[0, 1, 0]]
    prediction_grid.draw(
        np.zeros((3, 4, 4, 3), np.uint8), probs, np.array([0, 1, 0]), ("a", "b"), tmp_path / "grid.png"
    )
    assert (tmp_path / "grid.png").stat().st_size > 2000

"""Pictures: written whole, as PNG, with what they must state; labels of any script, length and content fit."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from edgekd.measures.calibration import softmax
from edgekd.measures.drift import drift
from edgekd.measures.evaluation import evaluate
from edgekd.reports import lettering, pictures

pytestmark = pytest.mark.pictures

LONG = ("no finding at all in this picture", "cardiomegaly, moderate to severe", "Ελληνικά", "кардиомегалия", "a" * 60)


def made(names, images=120, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(names), images)
    logits = rng.normal(size=(images, len(names)))
    logits[np.arange(images), labels] += 2
    return evaluate(softmax(logits), labels, names)


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved, in order."""
    figures = []
    real = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (figures.append(self), real(self, *a, **k))[1])
    return figures


def texts(figure):
    return [t.get_text() for t in figure.findobj(lambda a: hasattr(a, "get_text") and a.get_visible()) if t.get_text()]


def laid_out(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas.get_renderer()


def overlapping(labels, figure):
    """Pairs of tick labels whose boxes meet; only for labels at right angles."""
    renderer = laid_out(figure)
    boxes = [label.get_window_extent(renderer) for label in labels]
    return [(i, j) for i in range(len(boxes)) for j in range(i) if boxes[i].overlaps(boxes[j])]


def test_confusion_shows_counts_and_names_that_do_not_overlap(tmp_path, drawn):
    found = made(LONG)
    pictures.confusion(found, tmp_path / "a.png")
    axes = drawn[0].axes[0]
    counts = [int(t.get_text()) for t in axes.texts]
    assert counts == np.ravel(found.confusion).tolist()
    assert axes.images[0].get_array().sum() == pytest.approx(len(LONG))  # shares of each label
    assert not overlapping(axes.get_xticklabels(), drawn[0])
    assert not overlapping(axes.get_yticklabels(), drawn[0])
    assert f"accuracy {100 * found.accuracy:.2f} %" in texts(drawn[0])
    with Image.open(tmp_path / "a.png") as image:
        assert image.format == "PNG"
        assert min(image.size) > 400
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_every_label_lies_inside_the_picture(tmp_path, drawn):
    pictures.confusion(made(LONG), tmp_path / "a.png")
    axes, page, renderer = drawn[0].axes[0], drawn[0].bbox, laid_out(drawn[0])
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels(), axes.title):
        box = label.get_window_extent(renderer)
        assert min(box.x0, box.y0) >= -1, label
        assert box.x1 <= page.x1 + 1, label
        assert box.y1 <= page.y1 + 1, label


@pytest.mark.parametrize(
    "names", [("$\\frac$", "a$b$"), ("", "%"), ("日本語", "b"), ("\U0001f9e0", "b"), ("עברית", "عربي")]
)
def test_any_name_can_be_drawn(tmp_path, names, drawn):
    found = made(names)
    pictures.confusion(found, tmp_path / "a.png")  # warnings, as of missing glyphs, are errors
    pictures.comparison({names[0]: found, names[1]: found}, tmp_path / "b.png")
    assert (tmp_path / "b.png").stat().st_size > 1000


def test_names_are_drawn_as_they_are_and_only_undrawable_ones_are_numbered():
    assert lettering.lettering(["$x$", "Größe", "Ελλ", "[b]"])[0] == ["$x$", "Größe", "Ελλ", "[b]"]
    undrawable = "\U000f0000"  # private use: no font has it
    assert lettering.lettering(["a", "b" + undrawable])[0] == ["a", "class 1"]
    assert lettering.lettering(["a" * 50], 10, 2)[0] == ["a" * 10 + "\n" + "a" * 9 + "…"]
    assert lettering.lettering(["one two three"], 8, 3)[0] == ["one two\nthree"]


def test_a_font_that_has_the_character_is_found(monkeypatch):
    from matplotlib.font_manager import findfont

    monkeypatch.setattr(lettering, "FONT", "STIXSizeOneSym")  # has next to no letters
    assert not lettering._without(findfont("DejaVu Sans"), set("aю"))
    names, families = lettering.lettering(["aю"])
    assert names == ["aю"]
    assert len(families) > 1


def test_many_classes_make_a_picture_of_bounded_size(tmp_path, drawn):
    pictures.confusion(made([f"class number {i}" for i in range(60)], 300), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert max(image.size) < 3500
    assert not drawn[0].axes[0].texts
    assert not overlapping(drawn[0].axes[0].get_xticklabels(), drawn[0])


def test_reliability_states_error_and_noise_floor_and_every_count(tmp_path, drawn):
    found = made(("a", "b", "c"), 400)
    pictures.reliability(found, tmp_path / "a.png")
    diagram, counts = drawn[0].axes
    for value in (found.ece, found.ece_noise_floor, found.ece_noise_p95):
        assert f"{value:.4f}" in diagram.get_title()
    full = [b for b in found.reliability if b.count]
    assert [t.get_text() for t in counts.texts] == [str(b.count) for b in full]
    assert [p.get_height() for p in counts.patches] == [b.count for b in full]
    line = next(ln for ln in diagram.lines if ln.get_label() == "this network")
    assert line.get_xydata().tolist() == [[b.confidence, b.accuracy] for b in full]
    assert len([c for c in diagram.collections if c.get_paths()]) == len(full)  # the band; one more is for the legend


def test_the_band_holds_95_percent_of_perfect_networks():
    from edgekd.measures.evaluation import Bin

    rng = np.random.default_rng(0)
    for confidence, count in ((0.9, 40), (0.5, 10), (0.99, 5), (1.0, 7)):
        low, high = pictures._band(Bin(low=0, high=1, count=count, confidence=confidence, accuracy=0))
        found = rng.binomial(count, confidence, 20_000) / count
        assert np.mean((found >= low) & (found <= high)) >= 0.945
        assert 0 <= low <= high <= 1
        assert np.mean(found < low) < 0.03
        assert np.mean(found > high) < 0.03


def test_reliability_of_a_network_that_is_always_sure(tmp_path, drawn):
    sure = evaluate(np.eye(2)[[0, 1, 1]], np.array([0, 1, 0]), ["a", "b"])
    pictures.reliability(sure, tmp_path / "a.png")
    assert [t.get_text() for t in drawn[0].axes[1].texts] == ["3"]


def history(epochs, losses=("loss_task", "loss_kd")):
    return [
        {"epoch": float(e), "learning_rate": 1e-3 / e, "train_loss": 3 / e, "train_accuracy": 1 - 1 / e}
        | {name: (i + 1) / e for i, name in enumerate(losses)}
        | {"val_nll": 1 / e, "val_accuracy": 1 - 0.5 / e, "images_per_s": 50.0}
        for e in range(1, epochs + 1)
    ]


def lines(axes):
    return {line.get_label(): line.get_xydata().tolist() for line in axes.lines}


def test_curves_draw_each_component(tmp_path, drawn):
    pictures.curves(history(4), tmp_path / "a.png")
    losses, accuracies, rate = drawn[0].axes
    assert set(lines(losses)) == {"task", "kd", "training, total", "validation NLL"}
    assert lines(losses)["kd"] == [[1, 2], [2, 1], [3, 2 / 3], [4, 0.5]]
    assert lines(accuracies)["validation"][-1] == [4, 0.875]
    assert len(rate.lines) == 1
    ticks = losses.xaxis.get_major_locator()()
    assert all(t == int(t) for t in ticks)


def test_curves_of_one_epoch_show_points_at_whole_epochs(tmp_path, drawn):
    pictures.curves(history(1), tmp_path / "a.png")
    for axes in drawn[0].axes:
        assert all(line.get_marker() == "o" for line in axes.lines)
        low, high = axes.get_xlim()
        assert [t for t in axes.get_xticks() if low <= t <= high] == [1]


def test_curves_draw_what_is_there_and_lose_no_component(tmp_path, drawn):
    pictures.curves([{"epoch": 1, "val_nll": 0.5}, {"epoch": 2, "val_nll": 0.4, "loss_late": 1.0}], tmp_path / "a.png")
    assert lines(drawn[0].axes[0]) == {"late": [[2, 1.0]], "validation NLL": [[1, 0.5], [2, 0.4]]}
    assert not drawn[0].axes[1].lines
    pictures.curves(history(3, [f"loss_{i}" for i in range(15)]), tmp_path / "b.png")
    many = drawn[1].axes[0].lines
    assert len(many) == 15 + 2
    assert len({(line.get_color(), line.get_linestyle()) for line in many}) == len(many)


def test_curves_part_two_stages(tmp_path, drawn):
    rows = [row | {"stage": stage} for row, stage in zip(history(5), (1, 1, 2, 2, 3), strict=True)]
    pictures.curves(rows, tmp_path / "a.png")
    for axes in drawn[0].axes:
        borders = [line.get_xdata() for line in axes.lines if line.get_linestyle() == ":"]
        assert borders == [[2.5, 2.5], [4.5, 4.5]]
        assert axes.get_legend() is None or len(axes.get_legend().get_texts()) == len(axes.lines) - 2


def test_comparison_shows_accuracy_interval_ece_and_floor(tmp_path, drawn):
    found = {"teacher": made("abc", seed=1), "control": made("abc", seed=2), "student": made("abc", seed=3)}
    pictures.comparison(found, tmp_path / "a.png")
    accuracy, calibration = drawn[0].axes
    assert [t.get_text() for t in accuracy.get_yticklabels()] == list(found)
    assert accuracy.get_ylim()[0] > accuracy.get_ylim()[1]  # the first is on top
    for i, e in enumerate(found.values()):
        interval, point = accuracy.lines[2 * i : 2 * i + 2]
        assert interval.get_xdata() == pytest.approx([100 * v for v in e.accuracy_interval])
        assert point.get_xdata() == pytest.approx([100 * e.accuracy])
        assert calibration.patches[i].get_width() == e.ece
        assert calibration.lines[i].get_xdata() == pytest.approx([e.ece_noise_floor] * 2)
    assert [t.get_text() for t in calibration.texts] == [f"{e.ece:.4f}" for e in found.values()]


def test_comparison_says_what_teaching_gained(tmp_path, drawn):
    labels = np.array([0, 1] * 8)
    before, after = np.eye(2)[np.where(np.arange(16) < 8, 1 - labels, labels)], np.eye(2)[labels]
    gain = drift(before, after, labels, [str(i // 2) for i in range(16)])
    pictures.comparison({"control": made("ab"), "student": made("ab")}, tmp_path / "a.png", gain)
    low, high = gain.interval_pp
    # four of eight groups change, all in one direction: the exact p is 2 / 2^4
    expected = f"taught against untaught: +50.00 pp [{low:.1f}, {high:.1f}] accuracy, p = 0.125 by 8 groups"
    assert drawn[0].get_suptitle() == expected


def test_comparison_of_perfect_networks(tmp_path):
    perfect = evaluate(np.eye(2)[[0, 1, 1]], np.array([0, 1, 1]), ["a", "b"])
    pictures.comparison({"teacher": perfect}, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_global_is_used(tmp_path):
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; from edgekd.reports import pictures\n"
        f"pictures.curves([{{'epoch': 1, 'val_nll': 1.0}}], Path({str(tmp_path / 'a.png')!r}))\n"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

"""A bundle answers pictures from Python as the commands do."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

import edgekd
from edgekd.errors import CorruptImage, EdgekdError
from edgekd.measures.calibration import softmax

MODEL = Path(__file__).parents[1] / "models/mri4p-mobilenetv2"
GOLDEN = MODEL / "golden/0.png"


@pytest.fixture(scope="module")
def classifier():
    with edgekd.load(MODEL, "tflite-int8") as opened:
        yield opened


def test_a_path_a_pillow_image_an_array_and_a_list_get_one_answer(classifier):
    picture = Image.open(GOLDEN)
    answers = [classifier.classify(p) for p in (GOLDEN, str(GOLDEN), picture, np.asarray(picture.convert("RGB")))]
    assert answers == [answers[0]] * 4
    assert classifier.classify([GOLDEN, picture]) == answers[:2]
    assert classifier.classify([]) == []


def test_the_answer_is_the_most_probable_class(classifier):
    answer = classifier.classify(GOLDEN)
    assert tuple(answer.probs) == classifier.bundle.manifest.label_names
    assert sum(answer.probs.values()) == pytest.approx(1, abs=1e-6)
    assert answer.confidence == max(answer.probs.values()) == answer.probs[answer.label_name]


def test_the_float_network_gives_the_golden_logits():
    with edgekd.load(MODEL) as opened:
        found = opened.classify([MODEL / f"golden/{i}.png" for i in range(4)])
        temperature = opened.bundle.manifest.temperature
    expected = softmax(load_file(MODEL / "golden/vectors.safetensors")["logits"], temperature)
    assert np.array([list(a.probs.values()) for a in found]) == pytest.approx(expected, abs=1e-3)


def test_grey_pixels_are_taken_for_three_equal_channels(classifier):
    grey = np.random.default_rng(0).integers(0, 256, (50, 70), np.uint8)
    assert classifier.classify(grey) == classifier.classify(np.stack([grey] * 3, 2))


@pytest.mark.parametrize("array", [np.zeros((8, 8, 3)), np.zeros((8, 8, 4), np.uint8), np.zeros(8, np.uint8)])
def test_other_arrays_are_refused(classifier, array):
    with pytest.raises(EdgekdError, match="uint8"):
        classifier.classify(array)


def test_a_damaged_file_is_named(classifier, tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(CorruptImage, match=r"a\.png"):
        classifier.classify(tmp_path / "a.png")


def test_an_artefact_that_is_not_there_names_the_command():
    with pytest.raises(EdgekdError, match=r"edgekd\.export"):
        edgekd.load(MODEL, "tflite-fp16")


def test_an_artefact_needs_no_torch():
    code = (
        f"import edgekd, sys; edgekd.load({str(MODEL)!r}, 'tflite-int8').classify({str(GOLDEN)!r}); "
        "print('torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"

"""Black-box explainers against hand-made sessions, whose true maps are known, and against the authors' own fit."""

import subprocess
import sys
import warnings

import numpy as np
import pytest

from edgekd import explainers
from edgekd.errors import EdgekdError
from edgekd.explainers import lime, occlusion, rise
from edgekd.preprocess import InputContract

SIZE = 28
SPOT = (slice(4, 8), slice(12, 16))
BLACK = (0, 0, 0)


class Brightness:
    """Answers class 1 by the mean brightness of the spot, and counts pictures."""

    def __init__(self):
        self.asked = 0

    def probs(self, pixels):
        self.asked += len(pixels)
        bright = (pixels[(slice(None), *SPOT)] / 255).mean((1, 2, 3)).astype(np.float32)
        return np.stack([1 - bright, bright], 1)


@pytest.fixture
def picture():
    found = np.zeros((SIZE, SIZE, 3), np.uint8)
    found[SPOT] = 255
    return found


def test_occlusion_is_the_mean_fall_of_the_squares_over_a_pixel(picture):
    session = Brightness()
    found = occlusion.explain(session, picture, 1, occlusion.Options(colour=BLACK))
    assert session.asked == 1 + 13**2  # squares of 4 px, 2 px apart
    assert found.dtype == np.float32
    # The square at (4, 12) hides all of the spot, its neighbours a half or a quarter of it. The pixel (6, 14) lies under the
    # squares at rows 4 and 6 and columns 12 and 14: 1, 1/2, 1/2 and 1/4.
    assert found[6, 14] == pytest.approx((1 + 0.5 + 0.5 + 0.25) / 4)
    assert found[20, 14] == found[27, 27] == 0
    against = occlusion.explain(session, picture, 0, occlusion.Options(colour=BLACK))
    assert against == pytest.approx(-found)


@pytest.mark.parametrize("size", [1, 5, 13, 29])
def test_occlusion_covers_every_size(size):
    class Whole:
        def probs(self, pixels):
            return (pixels / 255).mean((1, 2, 3))[:, None]

    white = np.full((size, size, 3), 255, np.uint8)
    assert (occlusion.explain(Whole(), white, 0, occlusion.Options(colour=BLACK)) > 0).all()


def test_a_mask_of_rise_is_a_cut_of_an_enlarged_small_one():
    options = rise.Options(masks=300, cells=4)
    found = np.stack(list(rise.masks(SIZE, options)))
    assert found.shape == (300, SIZE, SIZE)
    assert found.min() >= 0
    assert found.max() <= 1
    assert found.mean() == pytest.approx(0.5, abs=0.02)
    again = np.stack(list(rise.masks(SIZE, options)))
    assert np.array_equal(found, again)
    other = next(rise.masks(SIZE, rise.Options(masks=1, cells=4, seed=1)))
    assert not np.array_equal(found[0], other)


def test_rise_finds_the_spot_by_its_formula(picture):
    options = rise.Options(masks=400, cells=7, colour=BLACK)
    found = rise.explain(Brightness(), picture, 1, options)
    masks = np.stack(list(rise.masks(SIZE, options))).astype(np.float64)
    weights = masks[(slice(None), *SPOT)].mean((1, 2))  # the brightness that a mask leaves, but for rounding
    assert found == pytest.approx(np.tensordot(weights, masks, 1) / (400 * 0.5), abs=2e-3)
    assert found[SPOT].mean() > found.mean() + 3 * found.std()


def test_lime_gives_the_weights_of_a_linear_network(monkeypatch, picture):
    quarters = np.arange(SIZE)[:, None] // 14 * 2 + np.arange(SIZE) // 14
    monkeypatch.setattr(lime, "superpixels", lambda pixels, options: quarters)
    options = lime.Options(samples=400, penalty=1e-6, colour=BLACK)
    found = lime.explain(Brightness(), picture, 1, options)
    expected = np.where(quarters == 0, 0.5, np.where(quarters == 1, 0.5, 0.0))  # the spot straddles both upper quarters
    assert found == pytest.approx(expected, abs=1e-4)


def test_lime_cuts_slic_superpixels(picture):
    found = lime.superpixels(picture, lime.Options(superpixels=9))
    assert found.shape == (SIZE, SIZE)
    assert np.array_equal(np.unique(found), np.arange(found.max() + 1))
    assert len(np.unique(found[SPOT])) < found.max()


def test_lime_fits_as_the_authors_do():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its source's escape sequences
        base = pytest.importorskip("lime.lime_base")
    from sklearn.metrics import pairwise_distances

    rng = np.random.default_rng(2)
    shown = rng.random((200, 12)) < 0.5
    shown[0] = True
    probs = rng.random(200)
    data = shown.astype(float)
    far = pairwise_distances(data, data[:1], metric="cosine").ravel()
    kernel = base.LimeBase(lambda d: np.sqrt(np.exp(-(d**2) / 0.25**2)))
    # It sorts classes by weight; feature selection "none" keeps all superpixels.
    pairs = kernel.explain_instance_with_data(data, probs[:, None], far, 0, 12, feature_selection="none")[1]
    expected = np.array([weight for _, weight in sorted(pairs)])
    assert lime.fit(shown, probs, lime.Options()) == pytest.approx(expected, abs=1e-9)


def test_a_method_is_found_by_its_file():
    assert {"lime", "occlusion", "rise"} <= set(explainers.names())
    methods = explainers.chosen(["rise,occlusion", "rise"])
    assert [m.name for m in methods] == ["rise", "occlusion"]
    assert not any(m.reads_network for m in methods)
    with pytest.raises(EdgekdError, match="did you mean 'occlusion'"):
        explainers.find("oclusion")


def test_what_is_hidden_gets_the_colour_that_normalization_makes_zero():
    contract = InputContract(size=8, mean=(0.485, -3.0, 7.0))
    assert explainers.find("rise").options(contract).colour == (124, 0, 255)
    assert explainers.find("rise").options(contract, masks=3).masks == 3


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setattr("edgekd.extras.find_spec", lambda name: None if name == "skimage" else object())
    with pytest.raises(EdgekdError, match=r"scikit-image[\s\S]*edgekd\[explain\]"):
        explainers.find("lime")


def test_black_box_methods_load_nothing_heavy():
    program = """
import sys
from edgekd import explainers
explainers.chosen(["occlusion,rise,lime"])
heavy = {"torch", "tensorflow", "sklearn", "skimage", "scipy", "matplotlib"} & set(sys.modules)
sys.exit(f"imported {heavy}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

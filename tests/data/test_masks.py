"""True regions: from phantoms, a CSV column and Figshare's files, resized as the picture is."""

import warnings

import numpy as np
import pytest
from PIL import Image

from edgekd.data import sources
from edgekd.data.chosen import relabel
from edgekd.data.dataset import region
from edgekd.data.phantom import phantom
from edgekd.errors import CorruptImage, EdgekdError
from edgekd.preprocess import InputContract
from edgekd.recipe import DataRecipe

WHOLE = InputContract(size=8)


def read(source, path="", **options):
    return sources.read(DataRecipe(source=source, path=str(path), options=options))


def test_a_phantom_knows_its_tumour():
    data = read("phantom", train=8, val=0, test=4, size=48)
    found = [region(data, sample, InputContract(size=48)) for sample in data.samples[:4]]
    for index, mask in enumerate(found):
        expected = phantom(0, index, 48).mask
        assert (mask is None) if not expected.any() else np.array_equal(mask, expected)
    assert found[2] is None  # no tumour


@pytest.fixture
def listed(tmp_path):
    for name in ("a", "b", "c", "d"):
        Image.new("L", (16, 16), 90).save(tmp_path / f"{name}.png")
    half = np.zeros((16, 16), np.uint8)
    half[:, 8:] = 255
    Image.fromarray(half).save(tmp_path / "m.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    rows = "path,label,mask\na.png,x,m.png\nb.png,y,\nc.png,x,broken.png\nd.png,y,../m.png\n"
    (tmp_path / "list.csv").write_text(rows)
    return read("csv", tmp_path / "list.csv")


def test_a_csv_names_masks(listed):
    assert np.array_equal(region(listed, listed.samples[0], WHOLE), np.arange(8) >= 4 + np.zeros((8, 1)))
    assert region(listed, listed.samples[1], WHOLE) is None
    with pytest.raises(CorruptImage, match="broken"):
        region(listed, listed.samples[2], WHOLE)
    with pytest.raises(EdgekdError, match="leaves it"):
        region(listed, listed.samples[3], WHOLE)


def test_a_mask_is_cut_as_its_picture(listed):
    cut = InputContract(size=8, fit="crop", crop_fraction=0.5)  # the middle half
    assert np.array_equal(region(listed, listed.samples[0], cut), np.arange(8) >= 4 + np.zeros((8, 1)))


def test_masks_stay_with_samples_under_other_labels(listed):
    other = relabel(listed, ("y", "z", "x"), "a bundle").with_samples(listed.samples[:1])
    assert region(other, other.samples[0], WHOLE) is not None


def test_a_folder_knows_no_regions(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.new("L", (8, 8)).save(tmp_path / name / "1.png")
    data = read("folder", tmp_path)
    assert region(data, data.samples[0], WHOLE) is None


def test_figshare_files_hold_the_tumour(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        h5py = pytest.importorskip("h5py")
    mask = np.zeros((8, 8), np.uint8)
    mask[1, 2:5] = 1
    for number, masked in ((1, True), (2, False)):
        with h5py.File(tmp_path / f"{number}.mat", "w") as file:
            group = file.create_group("cjdata")
            group["image"], group["label"] = np.zeros((8, 8), np.int16), np.array([[2.0]])
            if masked:
                group["tumorMask"] = mask.T  # MATLAB stores columns first
    data = read("figshare", tmp_path)
    assert np.array_equal(region(data, data.samples[0], WHOLE), mask == 1)
    assert region(data, data.samples[1], WHOLE) is None

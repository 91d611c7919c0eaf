"""NIfTI volumes, made here with numbers that can be checked by hand."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from edgekd.data import sources
from edgekd.data.dataset import Dataset
from edgekd.errors import CorruptImage
from edgekd.recipe import DataRecipe

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what importing the package says is its own affair
    nibabel = pytest.importorskip("nibabel")


def read(source: str, path: Path, /, **options) -> Dataset:
    return sources.read(DataRecipe(source=source, path=str(path), options=options))


def pixels(data: Dataset, index: int = 0) -> np.ndarray:
    image = data.open_image(data.samples[index])
    assert image.mode == "RGB"
    array = np.asarray(image)
    assert (array == array[..., :1]).all()
    return array[..., 0]


def corrupt(data: Dataset, index: int = 0) -> str:
    with pytest.raises(CorruptImage) as raised:
        data.open_image(data.samples[index])
    assert raised.value.where == data.samples[index].name
    return str(raised.value)


def nifti(path: Path, values, affine=None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(np.asarray(values), np.eye(4) if affine is None else affine), path)
    return path


def volume(shape=(4, 5, 6)) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.int16).reshape(shape)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_nifti_middle_slice_in_radiologists_view(tmp_path, ending):
    """RAS voxels [x, y, z]: the picture's first row is the front (y largest), its first column the right (x largest)."""
    values = np.zeros((2, 3, 3), np.uint8)
    values[..., 1] = [[10, 20, 30], [40, 50, 255]]  # x to the right of the patient, y to the front
    nifti(tmp_path / f"a/1{ending}", values)
    data = read("nifti", tmp_path)
    assert [(s.name, s.group) for s in data.samples] == [(f"a/1{ending}#0001", f"a/1{ending}")]
    low, high = np.percentile(values, (0.5, 99.5))
    expected = np.clip((np.array([[255, 30], [50, 20], [40, 10]]) - low) / (high - low), 0, 1) * 255
    np.testing.assert_array_equal(pixels(data), np.floor(expected + 0.5))
    assert sources.detect(str(tmp_path)) == "nifti"


@pytest.mark.parametrize(
    ("options", "indices"),
    [
        ({}, [2]),  # of six, the first of the two in the middle
        ({"slices": 2}, [2, 3]),
        ({"slices": 3}, [1, 2, 3]),
        ({"slices": 99}, [0, 1, 2, 3, 4, 5]),
        ({"every": 2}, [1, 3, 5]),
        ({"every": 4}, [2]),
        ({"every": 50}, [3]),
        ({"axis": 0}, [1]),
        ({"axis": 1, "slices": 3}, [1, 2, 3]),
    ],
)
def test_nifti_choice_of_slices(tmp_path, options, indices):
    nifti(tmp_path / "a/1.nii", volume())
    data = read("nifti", tmp_path, **options)
    found = [int(s.name.rpartition("#")[2]) for s in data.samples]
    assert found == indices
    shape = {0: (6, 5), 1: (6, 4), 2: (5, 4)}[options.get("axis", 2)]
    assert all(pixels(data, i).shape == shape for i in range(len(found)))


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, -1), (-1, -1, -1)])
def test_nifti_orientation_is_that_of_nibabel(tmp_path, axes, signs):
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for column, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
        affine[axis, column] = 1.5 * sign
    path = nifti(tmp_path / "a/1.nii.gz", volume(), affine)
    canonical = nibabel.as_closest_canonical(nibabel.load(path)).get_fdata()
    low, high = np.percentile(canonical, (0.5, 99.5))
    grey = np.floor(np.clip((canonical - low) / (high - low), 0, 1) * 255 + 0.5)
    for axis in range(3):
        data = read("nifti", tmp_path, axis=axis, slices=99)
        assert len(data.samples) == canonical.shape[axis]
        for index in range(len(data.samples)):
            expected = np.take(grey, index, axis)[::-1, ::-1].T
            np.testing.assert_allclose(pixels(data, index).astype(int), expected, atol=1)  # float32 inside


def test_nifti_four_dimensions_nan_and_constant(tmp_path):
    four = np.stack([volume(), np.zeros((4, 5, 6), np.int16)], axis=-1)
    nifti(tmp_path / "a/1.nii", four)
    nifti(tmp_path / "a/2.nii", volume())
    holes = volume().astype(np.float32)
    holes[0, 0] = np.nan
    holes[1, 0] = np.inf
    nifti(tmp_path / "a/3.nii", holes)
    nifti(tmp_path / "a/4.nii", np.full((4, 5, 6), 7, np.int16))
    nifti(tmp_path / "a/5.nii", np.full((4, 5, 6), np.nan, np.float32))
    data = read("nifti", tmp_path)
    np.testing.assert_array_equal(pixels(data, 0), pixels(data, 1))
    assert (pixels(data, 2)[-1, 2:] == 0).all()  # y = 0 is the last row; x = 0 and 1 the last columns
    assert pixels(data, 2).max() > 200
    assert not pixels(data, 3).any()
    assert "no finite voxel" in corrupt(data, 4)


def test_nifti_reads_headers_alone_until_a_slice_is_asked_for(tmp_path, monkeypatch):
    for n in range(5):
        nifti(tmp_path / f"a/{n}.nii", volume() + n)
    from edgekd.data.sources import nifti as module

    loads = []
    load = module.load
    monkeypatch.setattr(module, "load", lambda path, name: loads.append(name) or load(path, name))
    data = read("nifti", tmp_path, slices=3)
    assert not loads
    for index in range(len(data.samples)):
        pixels(data, index)
    assert loads == [f"a/{n}.nii" for n in range(5)]  # each volume once, though it has three slices


def test_nifti_corrupt_files(tmp_path, capfd):
    whole = nifti(tmp_path / "a/0.nii", volume()).read_bytes()
    zipped = nifti(tmp_path / "a/1.nii.gz", volume()).read_bytes()
    huge = bytearray(whole)
    huge[40:56] = np.array([3, 32767, 32767, 32767, 1, 1, 1, 1], "<i2").tobytes()
    files = {
        "2.nii": b"",
        "3.nii": b"text",
        "4.nii": whole[:400],
        "5.nii.gz": zipped[:60],
        "6.nii.gz": b"no",
        "7.nii": huge,
    }
    for name, content in files.items():
        (tmp_path / "a" / name).write_bytes(content)
    nifti(tmp_path / "a/8.nii", np.zeros((4, 4), np.float32))
    nifti(tmp_path / "a/9.nii", np.zeros((2, 2, 2), np.complex64))
    data = read("nifti", tmp_path)
    assert len(data.samples) == 10
    assert pixels(data, 0).shape == pixels(data, 1).shape
    for index in range(2, 10):
        corrupt(data, index)
    assert "32767" in corrupt(data, 7)
    assert capfd.readouterr() == ("", "")

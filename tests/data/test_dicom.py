"""DICOM files, made here with numbers that can be checked by hand."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from edgekd.data import sources
from edgekd.data.dataset import Dataset
from edgekd.data.splitting import leaking_groups
from edgekd.errors import CorruptImage
from edgekd.recipe import DataRecipe

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what importing the package says is its own affair
    pydicom = pytest.importorskip("pydicom")
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid


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


def dicom(path: Path, array, **tags) -> Path:
    array = np.asarray(array)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    frames = array.ndim == 3 and array.shape[-1] != 3
    colour = array.ndim == 3 and not frames
    file.Rows, file.Columns = array.shape[1:3] if frames else array.shape[:2]
    file.SamplesPerPixel = 3 if colour else 1
    file.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        file.PlanarConfiguration = 0
    if frames:
        file.NumberOfFrames = len(array)
    bits = array.dtype.itemsize * 8
    file.BitsAllocated, file.BitsStored, file.HighBit = bits, bits, bits - 1
    file.PixelRepresentation = int(array.dtype.kind == "i")
    file.PatientID = "P1"
    file.PixelData = array.tobytes() + b"\0" * (array.nbytes % 2)
    for tag, value in tags.items():
        if value is None:
            delattr(file, tag)
        else:
            setattr(file, tag, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    file.save_as(path, enforce_file_format=True)
    return path


VALUES = np.array([[0, 10, 20], [30, 40, 51]], np.uint16)


def one(tmp_path: Path, array=VALUES, **tags) -> Dataset:
    dicom(tmp_path / "a/1.dcm", array, **tags)
    return read("dicom", tmp_path)


def test_dicom_class_folders(tmp_path):
    dicom(tmp_path / "Training/a/1.dcm", VALUES)
    dicom(tmp_path / "Training/b/IM0001", VALUES, PatientID="P2")
    dicom(tmp_path / "Training/b/1.2.840.77", VALUES, PatientID=None)
    dicom(tmp_path / "Testing/a/1.DCM", VALUES, PatientID="")
    dicom(tmp_path / "Testing/b/1.dcm", VALUES)
    (tmp_path / "Testing/b/README").write_text("no preamble")
    dicom(tmp_path / "Testing/b/DICOMDIR", VALUES)
    data = read("dicom", tmp_path)
    assert {(s.name, s.split, s.group) for s in data.samples} == {
        ("Training/a/1.dcm", "train", "P1"),
        ("Training/b/IM0001", "train", "P2"),
        ("Training/b/1.2.840.77", "train", None),
        ("Testing/a/1.DCM", "test", None),
        ("Testing/b/1.dcm", "test", "P1"),
    }
    assert leaking_groups(data) == {"P1": {"train", "test"}}
    assert sources.detect(str(tmp_path)) == "dicom"


def test_dicom_without_a_window_is_stretched(tmp_path):
    np.testing.assert_array_equal(pixels(one(tmp_path)), [[0, 50, 100], [150, 200, 255]])


def test_dicom_monochrome1_is_inverted(tmp_path):
    found = pixels(one(tmp_path, PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_array_equal(found, [[255, 205, 155], [105, 55, 0]])


def test_dicom_rescale_comes_before_the_window(tmp_path):
    """Stored 0..51 becomes -1024..-1024 + 2 * 51; the window of 52 around -998 spans -1024..-973 after PS3.3 C.11.2.1.2."""
    data = one(
        tmp_path, RescaleSlope="2", RescaleIntercept="-1024", WindowCenter=["-998", "40"], WindowWidth=["52", "80"]
    )
    # x = -1024, -1004, -984, -964...: ((x + 998.5) / 51 + 0.5) * 255 = 0, 100, 200, then 255
    np.testing.assert_array_equal(pixels(data), [[0, 100, 200], [255, 255, 255]])


@pytest.mark.parametrize(
    ("function", "width", "expected"),
    [
        ("LINEAR", 1, [0, 0, 255, 255, 255]),  # above 19.5
        ("LINEAR", 11, [0, 13, 140, 255, 255]),
        ("LINEAR_EXACT", 10, [0, 0, 128, 255, 255]),
        ("SIGMOID", 20, [5, 30, 128, 225, 250]),
    ],
)
def test_dicom_window_functions(tmp_path, function, width, expected):
    values = np.array([[0, 15, 20, 25, 40]], np.int16)
    if function == "SIGMOID":
        values = np.array([[0, 10, 20, 30, 40]], np.int16)
    data = one(tmp_path, values, WindowCenter="20", WindowWidth=str(width), VOILUTFunction=function)
    np.testing.assert_array_equal(pixels(data), [expected])


def test_dicom_signed_and_eight_bit(tmp_path):
    np.testing.assert_array_equal(pixels(one(tmp_path / "s", np.array([[-510, 0, 510]], np.int16))), [[0, 128, 255]])
    np.testing.assert_array_equal(pixels(one(tmp_path / "u", np.array([[0, 51, 102]], np.uint8))), [[0, 128, 255]])


def test_dicom_voi_table(tmp_path):
    table = pydicom.Dataset()
    table.LUTDescriptor = [3, 10, 8]  # three entries from value 10 on, 8 bits
    table.LUTData = np.array([5, 100, 200], np.uint16).tobytes()
    data = one(tmp_path, np.array([[0, 10, 11, 12, 99]], np.uint16), VOILUTSequence=[table])
    np.testing.assert_array_equal(pixels(data), [[5, 5, 100, 200, 200]])


def test_dicom_multi_frame_gives_the_middle(tmp_path):
    frames = np.stack([np.full((2, 2), 7), [[0, 1], [2, 255]], np.full((2, 2), 9)]).astype(np.uint8)
    np.testing.assert_array_equal(pixels(one(tmp_path, frames)), [[0, 1], [2, 255]])


def test_dicom_colour(tmp_path):
    colour = np.array([[[1, 2, 3], [255, 0, 9]]], np.uint8)
    data = one(tmp_path, colour)
    np.testing.assert_array_equal(np.asarray(data.open_image(data.samples[0])), colour)


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"Rows": None}, "Rows"),
        ({"Rows": 65535, "Columns": 65535}, "65535"),
        ({"PixelData": b"\0\0"}, "a/1.dcm"),
        ({"PixelData": None}, "a/1.dcm"),
        ({"NumberOfFrames": "-3"}, "-3 frames"),
        ({"NumberOfFrames": "2147483647"}, "a/1.dcm"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "a/1.dcm"),
        ({"WindowCenter": "1", "WindowWidth": "0"}, "window of width 0"),
        ({"WindowCenter": "1", "WindowWidth": "9", "VOILUTFunction": "CUBIC"}, "CUBIC"),
    ],
)
def test_dicom_corrupt_tags(tmp_path, tags, message, capfd):
    assert message in corrupt(one(tmp_path, **tags))
    assert capfd.readouterr() == ("", "")


def test_dicom_corrupt_files(tmp_path, capfd):
    whole = dicom(tmp_path / "a/1.dcm", VALUES).read_bytes()
    for name, content in (
        ("2", b""),
        ("3", b"text"),
        ("4", whole[:200]),
        ("5", whole[:-5]),
        ("6", whole[:140] + b"\xff" * 60),
    ):
        (tmp_path / f"a/{name}.dcm").write_bytes(content)
    data = read("dicom", tmp_path)
    for index in range(1, 6):
        corrupt(data, index)
    assert capfd.readouterr() == ("", "")


def test_dicom_odd_values_do_not_warn(tmp_path, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dicom(tmp_path / "a/1.dcm", VALUES, PatientID="x" * 100, StudyDate="yesterday")
    data = read("dicom", tmp_path)
    assert data.samples[0].group == "x" * 100
    assert pixels(data).shape == (2, 3)
    assert capfd.readouterr() == ("", "")

"""Figshare .mat files, made here with numbers that can be checked by hand."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from edgekd import command
from edgekd import recipe as recipes
from edgekd.data import sources, splitting
from edgekd.data.dataset import Dataset
from edgekd.data.splitting import complete, leaking_groups
from edgekd.errors import CorruptImage, EdgekdError
from edgekd.recipe import DataRecipe

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what importing the package says is its own affair
    h5py = pytest.importorskip("h5py")


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


SLICE = np.array([[0, 100, 200], [300, 400, 510]], np.int16)  # [H, W]; 510 = 2 * 255


def mat(path: Path, image=SLICE, label=1.0, patient="100360") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:  # MATLAB puts its own header first
        group = file.create_group("cjdata")
        group["image"] = np.asarray(image).T
        group["label"] = np.array([[label]])
        group["PID"] = np.array([[ord(c)] for c in patient], np.uint16)
    return path


def test_figshare_folder(tmp_path):
    for number, label in ((1, 1), (2, 2), (10, 3)):
        mat(tmp_path / "part" / f"{number}.mat", label=float(label), patient=f"p{label}")
    mat(tmp_path / "cvind.mat")
    data = read("figshare", tmp_path)
    assert data.label_names == ("glioma", "meningioma", "pituitary")
    assert [(s.name, data.label_names[s.label], s.group) for s in data.samples] == [
        ("part/1.mat", "meningioma", "p1"),
        ("part/10.mat", "pituitary", "p3"),
        ("part/2.mat", "glioma", "p2"),
    ]
    np.testing.assert_array_equal(pixels(data), [[0, 50, 100], [150, 200, 255]])
    assert sources.detect(str(tmp_path)) == "figshare"


def test_figshare_single_file(tmp_path):
    path = mat(tmp_path / "7.mat", label=2.0)
    mat(tmp_path / "8.mat")
    data = read("figshare", path)
    assert [s.name for s in data.samples] == ["7.mat"]
    assert sources.detect(str(path)) == "figshare"


def test_figshare_patients_stay_in_one_split(tmp_path):
    for n in range(60):
        mat(tmp_path / f"{n}.mat", label=1.0 + n % 3, patient=f"p{n // 6}-{n % 3}")
    assert not leaking_groups(complete(read("figshare", tmp_path), 0.2, 0.2, 0))


def cvind(path: Path, folds) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        file["cvind"] = np.asarray(folds, np.float64)[None]
    return path


def test_the_authors_folds_are_the_splits_where_one_is_asked_for(tmp_path):
    for number in range(1, 7):
        mat(tmp_path / f"part{number % 2}" / f"{number}.mat", label=1.0 + number % 3, patient=f"p{number % 3}")
    cvind(tmp_path / "cvind.mat", [1, 2, 3, 1, 2, 3, 5])  # one more than there are files
    found = {n: {s.name: s.split for s in read("figshare", tmp_path, fold=n).samples} for n in (1, 2)}
    names = {number: f"part{number % 2}/{number}.mat" for number in range(1, 7)}
    assert [found[1][names[n]] for n in range(1, 7)] == ["test", "train", "train", "test", "train", "train"]
    assert [found[2][names[n]] for n in range(1, 7)] == ["train", "test", "train", "train", "test", "train"]
    assert not leaking_groups(read("figshare", tmp_path, fold=1))
    assert {s.split for s in read("figshare", tmp_path).samples} == {""}
    # The single file that was asked for has its own fold.
    cvind(tmp_path / "part1" / "cvind.mat", [4, 4, 4])
    assert [s.split for s in read("figshare", tmp_path / "part1" / "3.mat", fold=4).samples] == ["test"]


def test_the_recipe_for_this_set_takes_the_original_files_and_a_fold(tmp_path):
    for number in range(1, 31):
        mat(tmp_path / "set" / f"{number}.mat", label=1.0 + number % 3, patient=f"p{number % 15}")
    cvind(tmp_path / "set" / "cvind.mat", [1 + number % 15 // 3 for number in range(1, 31)])
    recipe = recipes.load("cross-architecture-figshare", ["data.options.fold=2"])
    recipe = command.on_data(recipe, str(tmp_path / "set"), ["data.options.fold=2"])
    assert recipe.data.source == "figshare"
    data = splitting.of(sources.read(recipe.data), recipe)
    assert {s.group for s in data.split("test")} == {"p3", "p4", "p5"}
    assert data.split("val")
    assert not leaking_groups(data)


@pytest.mark.parametrize(
    ("folds", "fold", "message"),
    [
        (None, 1, "one cvind.mat"),
        ([1, 2], 3, "folds 1, 2"),
        ([1], 1, "(?s)gives no fold.*2.mat"),
        ("text", 1, "MATLAB v7.3"),
        ("link", 1, "a link to another file"),
        ([1, 2], -1, "greater than or equal to 0"),
    ],
)
def test_folds_that_cannot_be_had_are_one_error(tmp_path, folds, fold, message):
    for number in (1, 2):
        mat(tmp_path / "set" / f"{number}.mat")
    if folds == "text":
        (tmp_path / "set" / "cvind.mat").write_text("MATLAB 5.0")
    elif folds == "link":
        cvind(tmp_path / "elsewhere.mat", [1, 2])
        with h5py.File(tmp_path / "set" / "cvind.mat", "w") as file:
            file["cvind"] = h5py.ExternalLink(str(tmp_path / "elsewhere.mat"), "/cvind")
    elif folds:
        cvind(tmp_path / "set" / "cvind.mat", folds)
    with pytest.raises(EdgekdError, match=message):
        read("figshare", tmp_path / "set", fold=fold)


def broken_mats(folder: Path) -> dict[str, Path]:
    made = {
        "label 4": mat(folder / "label.mat", label=4.0),
        "label nan": mat(folder / "nan.mat", label=np.nan),
        "not finite": mat(folder / "infinite.mat", image=np.array([[0.0, np.inf]])),
        "shape": mat(folder / "flat.mat", image=np.zeros(3)),
    }
    (folder / "text.mat").write_text("MATLAB 5.0 MAT-file")
    made["signature"] = folder / "text.mat"
    cut = mat(folder / "cut.mat")
    cut.write_bytes(cut.read_bytes()[:1500])
    made["."] = cut
    with h5py.File(folder / "empty.mat", "w"):
        made["cjdata"] = folder / "empty.mat"
    return made


def test_figshare_corrupt_files_are_reported_one_by_one(tmp_path):
    for reason, path in broken_mats(tmp_path).items():
        assert reason in corrupt(read("figshare", path)), path.name


def test_figshare_files_cannot_point_to_other_files(tmp_path):
    secret = mat(tmp_path / "secret.mat")
    raw = tmp_path / "secret.bin"
    raw.write_bytes(bytes(12))
    outside = tmp_path / "set"
    outside.mkdir()
    with h5py.File(outside / "1.mat", "w") as file:
        file["cjdata"] = h5py.ExternalLink(str(secret), "/cjdata")
    with h5py.File(mat(outside / "2.mat"), "r+") as file:
        del file["cjdata/image"]
        file["cjdata/image"] = h5py.ExternalLink(str(secret), "/cjdata/image")
    with h5py.File(mat(outside / "3.mat"), "r+") as file:
        del file["cjdata/image"]
        file.create_dataset("cjdata/image", (3, 2), "<i2", external=[(str(raw), 0, 12)])
    with h5py.File(mat(outside / "4.mat"), "r+") as file:
        del file["cjdata/image"]
        layout = h5py.VirtualLayout((3, 2), "<i2")
        layout[:] = h5py.VirtualSource(str(secret), "cjdata/image", (3, 2))
        file.create_virtual_dataset("cjdata/image", layout)
    data = read("figshare", outside)
    for index in range(4):
        assert "another file" in corrupt(data, index) or "not stored in this file" in corrupt(data, index)


def test_figshare_nothing_there(tmp_path):
    with pytest.raises(EdgekdError, match=r"no \.mat file"):
        read("figshare", tmp_path)
    with pytest.raises(EdgekdError, match="nothing there"):
        read("figshare", tmp_path / "missing")

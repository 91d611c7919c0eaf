"""Several sets as one: labels by meaning, splits and groups of each part, one audit over all."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from edgekd import audit
from edgekd import recipe as recipes
from edgekd.data import phantom, sources
from edgekd.data.dataset import NO_LABEL
from edgekd.data.pixels import Pixels
from edgekd.data.sources.union import canonical
from edgekd.data.splitting import complete
from edgekd.errors import CorruptImage, EdgekdError
from edgekd.recipe import DataRecipe, InputRecipe
from edgekd.training.folders import of_run


def picture(path, index=0, size=32):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(phantom.phantom(0, index, size).image).save(path)


@pytest.fixture
def folders(tmp_path):
    """One set with splits, one without, and a list with patients and an unlabelled picture."""
    for split in ("Training", "Testing"):
        for index, label in enumerate(("glioma", "No Tumor")):
            picture(tmp_path / "first" / split / label / "a.png", index + 10 * (split == "Testing"))
    for index, label in enumerate(("no", "yes", "no_tumour")):
        picture(tmp_path / "second" / label / "a.png", 20 + index)
    lines = ["path,label,patient,split", "a.png,Glioma,p1,train", "b.png,notumor,p1,test", "c.png,,p2,"]
    (tmp_path / "third").mkdir()
    (tmp_path / "third" / "list.csv").write_text("\n".join(lines))
    for index, name in enumerate("abc"):
        picture(tmp_path / "third" / f"{name}.png", 30 + index)
    return tmp_path


def parts(folder, **second):
    labels = {"yes": "", "no": "notumor"}
    return [
        {"name": "first", "path": str(folder / "first")},
        {"name": "second", "path": str(folder / "second"), "labels": labels} | second,
        {"name": "third", "source": "csv", "path": str(folder / "third" / "list.csv")},
    ]


def read(parts, **options):
    return sources.read(DataRecipe(source="union", options={"parts": parts} | options))


@pytest.mark.parametrize("label", ["no_tumor", "notumor", "No Tumor", "NO-TUMOUR", "no tumour "])
def test_spellings_of_one_label_are_one(label):
    assert canonical(label) == "notumor"


def test_labels_splits_and_groups_of_all_parts(folders):
    data = read(parts(folders))
    assert data.label_names == ("No Tumor", "glioma")  # as the first part spells them
    found = {
        s.name: (s.label if s.label == NO_LABEL else data.label_names[s.label], s.split, s.group) for s in data.samples
    }
    assert found == {
        "first/Training/glioma/a.png": ("glioma", "train", None),
        "first/Training/No Tumor/a.png": ("No Tumor", "train", None),
        "first/Testing/glioma/a.png": ("glioma", "test", None),
        "first/Testing/No Tumor/a.png": ("No Tumor", "test", None),
        "second/no/a.png": ("No Tumor", "", None),
        "second/no_tumour/a.png": ("No Tumor", "", None),
        "third/a.png": ("glioma", "train", "third/p1"),
        "third/b.png": ("No Tumor", "test", "third/p1"),
        "third/c.png": (NO_LABEL, "", "third/p2"),
    }
    dealt = complete(data, 0.5, 0.5, 0)
    assert {s.name for s in dealt.split("test")} == {name for name, (_, split, _) in found.items() if split == "test"}
    named = read(parts(folders), label_names=["glioma", "notumor"])
    assert named.label_names == ("glioma", "notumor")
    assert {s.name: s.label for s in named.samples}["second/no/a.png"] == 1
    shared = {s.name: s.group for s in read(parts(folders), shared_groups=True).samples}
    assert (shared["third/a.png"], shared["third/c.png"], shared["second/no/a.png"]) == ("p1", "p2", None)
    assert {s.split for s in read(parts(folders, split="train")).samples if s.name.startswith("second/")} == {"train"}


def test_images_are_those_of_their_part(folders):
    data = read(parts(folders))
    for sample in data.samples:
        own = Image.open(folders / sample.name).convert("RGB")
        assert np.array_equal(np.asarray(data.open_image(sample)), np.asarray(own))
        assert data.open_mask(sample) is None
    (folders / "third" / "a.png").write_bytes(b"no image")
    (broken,) = (s for s in data.samples if s.name == "third/a.png")
    with pytest.raises(CorruptImage, match=r"third/a\.png"):
        data.open_image(broken)


def test_generated_parts_bring_their_masks_and_can_be_decoded(tmp_path):
    options = {"train": 8, "val": 4, "test": 4, "size": 32}
    both = [{"name": str(seed), "source": "phantom", "options": options | {"seed": seed}} for seed in (0, 1)]
    data = read(both)
    assert len(data.samples) == 32
    assert len({s.group for s in data.samples}) == 2 * len({s.group for s in read(both[:1]).samples})
    tumour = next(s for s in data.samples if s.name.startswith("1/glioma"))
    assert np.asarray(data.open_mask(tumour)).any()
    pixels = Pixels.of(data, InputRecipe(size=32), tmp_path, 0.0)
    assert not np.array_equal(pixels.array[0], pixels.array[16])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": {"maybe": "notumor"}}, "(?s)labels.maybe.*label of this set"),
        ({"labels": {}}, "(?s)labels that the union does not have.*part second: 'no'.*part second: 'yes'"),
        ({"path": "nowhere"}, "(?s)part 'second'.*nothing there"),
        ({"source": "foldr"}, "did you mean 'folder'"),
        ({"name": "first"}, "two of parts have one name"),
        ({"name": "a/b"}, "name"),
        ({"split": "validation"}, "split"),
        ({"pth": "x"}, "did you mean 'path'"),
    ],
)
def test_what_is_wrong_with_a_part_is_one_error(folders, change, message):
    with pytest.raises(EdgekdError, match=message):
        read(parts(folders, **change), label_names=["glioma", "notumor"])


def recipe_of(folders):
    text = "\n".join(
        f"[[data.options.parts]]\nname = {p['name']!r}\npath = {p['path']!r}\n"
        f"labels = {{ {', '.join(f'{k!r} = {v!r}' for k, v in p.get('labels', {}).items())} }}"
        for p in parts(folders)
    )
    path = folders / "union.toml"
    path.write_text(f"name = 'union'\n[data]\nsource = 'union'\n{text}\n")
    return path


def test_all_parts_are_audited_as_one(folders, monkeypatch, capsys):
    monkeypatch.chdir(folders)
    Image.open(folders / "first/Testing/glioma/a.png").save(folders / "third" / "a.png")  # a copy in another part
    audit.main(["--recipe", str(recipe_of(folders)), "--out", "report"])
    found = json.loads((folders / "report" / "audit.json").read_text())
    assert found["counts"]["listed"] == 9
    assert "first/Testing/glioma/a.png" in json.dumps(found)
    (leak,) = found["leaks"]
    assert (leak["split"], leak["other"], leak["leaked"]) == ("test", "train", 1)
    clean = sources.read(recipes.load(recipe_of(folders), ["data.options.split=report/split.csv"]).data)
    with (folders / "report" / "split.csv").open() as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    assert {s.name: s.split for s in clean.samples} == {name: row["split"] for name, row in rows.items()}
    assert len({"first/Testing/glioma/a.png", "third/a.png"} & rows.keys()) == 1
    assert "data.options.split=report/split.csv" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "a CSV with path"),
        ("path,label\n", "none"),
        ("path,split\nfirst/Testing/glioma/a.png,test\n", "no column 'group'"),
        ("path,group,split\nfirst/b.png,,test\n", "(?s)'first/b.png': no image of that name.*audit"),
        ("path,group,split\nthird/a.png,,later\n", "split 'later'"),
    ],
)
def test_a_split_file_that_does_not_fit_is_one_error(folders, text, message):
    if text is not None:
        (folders / "split.csv").write_text(text)
    with pytest.raises(EdgekdError, match=message):
        read(parts(folders), split=str(folders / "split.csv"))


def test_a_recipe_names_every_part_and_what_it_reads_is_not_overwritten(folders):
    recipe = recipes.load(recipe_of(folders))
    assert [part["name"] for part in recipe.model_dump(mode="json")["data"]["options"]["parts"]] == [
        "first",
        "second",
        "third",
    ]
    with pytest.raises(EdgekdError, match=r"data\.options\.parts\.1\.path"):
        of_run(recipe, folders / "second")
    text = recipe_of(folders).read_text().replace("source = 'union'", "source = 'union'\npath = 'x'")
    (folders / "other.toml").write_text(text)
    with pytest.raises(EdgekdError, match=r"data\.path has no effect"):
        recipes.load(folders / "other.toml")

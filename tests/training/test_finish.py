"""What a finished bundle holds of its evaluation: groups as numbers, never as a patient's id."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console
from safetensors.numpy import load_file

from edgekd import recipe
from edgekd.data.dataset import Sample
from edgekd.training import distributed, finish, run, stages


@pytest.fixture
def evaluated(tmp_path, monkeypatch):
    """The stored tensors of a test split with these groups, and the file's bytes."""

    def make(groups):
        samples = [Sample(f"{i}.png", i % 2, "test", group) for i, group in enumerate(groups)]
        run = SimpleNamespace(
            rows=lambda split: np.arange(len(samples)),
            labels=np.array([s.label for s in samples]),
            label_names=("a", "b"),
            pixels=SimpleNamespace(dataset=SimpleNamespace(samples=samples)),
            recipe=SimpleNamespace(seed=0),
        )
        logits = np.random.default_rng(0).normal(size=(len(samples), 2)).astype(np.float32)
        monkeypatch.setattr(finish, "_logits", lambda *_: logits)
        names = finish._evaluate(run, None, 1.0, "test", tmp_path)
        assert all((tmp_path / name).is_file() for name in names)
        path = tmp_path / "evaluation/test.safetensors"
        return load_file(path), path.read_bytes()

    return make


def test_groups_are_kept_as_numbers(evaluated):
    tensors, content = evaluated(["MR040240", "MR7", "MR040240", "MR9", "MR9"])
    assert tensors["groups"].tolist() == [0, 1, 0, 2, 2]
    assert b"MR0" not in content


def test_without_every_group_there_are_none(evaluated):
    assert set(evaluated(["MR1", None, "MR1", "MR2"])[0]) == {"labels", "logits"}


def test_display_names_of_its_labels_are_the_bundles_and_those_of_others_are_told(tiny_settings, tmp_path):
    names = 'data.display_names={notumor="no tumour", notumour="misspelt [bold]"}'
    wanted = recipe.load(None, [*tiny_settings, names, "training={epochs=1, batch_size=16}"])
    shown = io.StringIO()
    prepared = run.prepare(wanted, tmp_path / "run", distributed.start(), Console(file=shown, width=200))
    assert "data.display_names.notumour: the data has no such label; did you mean 'notumor'?" in shown.getvalue()
    found = stages.student(prepared, None, tmp_path / "control").manifest
    assert found.display_names == {"notumor": "no tumour"}
    assert found.readable_names == ("glioma", "meningioma", "no tumour", "pituitary")

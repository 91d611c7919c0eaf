"""The training log: lines at once, the picture now and then."""

import csv

import pytest

from edgekd.training import log

pytestmark = pytest.mark.pictures


def row(epoch):
    return {"epoch": epoch, "learning_rate": 0.1, "train_loss": 1.0, "val_nll": 1.0 / epoch, "val_accuracy": 0.5}


def test_lines_are_written_at_once_and_the_picture_at_the_end(tmp_path):
    written = log.Log(tmp_path)
    written.epoch([row(1)])
    written.epoch([row(1), row(2)])
    with (tmp_path / "log.csv").open() as file:
        assert [line["val_nll"] for line in csv.DictReader(file)] == ["1", "0.5"]
    assert list((tmp_path / "tensorboard").iterdir())
    assert not (tmp_path / "curves.png").exists()
    written.close()
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_after_long_epochs_the_picture_is_drawn_each_time_and_once(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(log, "REDRAWN", -1.0)
    monkeypatch.setattr(log.pictures, "curves", lambda history, _: drawn.append(len(history)))
    written = log.Log(tmp_path)
    written.epoch([row(1)])
    written.epoch([row(1), row(2)])
    written.close()
    log.Log(tmp_path).close()  # nothing was trained
    assert drawn == [1, 2]

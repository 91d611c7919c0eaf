"""Fine-tuning in stages: what stands still does so to the bit, what begins anew does, and the best of each is kept."""

import csv
from itertools import pairwise

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from edgekd import recipe
from edgekd.errors import EdgekdError
from edgekd.networks import blocks, build
from edgekd.recipe import Network
from edgekd.training import check, stages
from edgekd.training.freezing import Freezing
from edgekd.training.loop import TrainingProgress, derived_seed
from edgekd.training.objective import Term

HEAD = "{epochs=1, learning_rate=1e-2, train='head'}"
TOP = "{epochs=1, learning_rate=1e-3, train='top'}"
ALL = "{epochs=1, learning_rate=5e-4, train='all'}"
NETWORKS = {
    "mobilenetv2": "student={width=0.35}",
    "hybrid_resnet_vit": "student={network='hybrid_resnet_vit', options={depth=1, dim=32, heads=2, hidden=16}}",
    "vit_tiny_patch16_224": "student={network='vit_tiny_patch16_224'}",
}


def training(*staged, **settings):
    """The `--set` value of a training in stages."""
    others = "".join(f", {name}={value!r}" for name, value in settings.items())
    return f"training={{batch_size=16, stages=[{', '.join(staged)}]{others}}}"


def trained(run, folder):
    """The student's network without a teacher, trained into `folder`."""
    settings = run.recipe.training
    torch.manual_seed(derived_seed(0, "student"))
    network = build(run.recipe.student, 4, 32)
    labels = stages.LabelObjective(settings, run.labels[run.rows("train")], 4, run.processes)
    stages.train_float(run, "control", network, labels, settings, folder, "identity")
    return network


def log(folder):
    with (folder / "log.csv").open() as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


@pytest.mark.parametrize(
    ("network", "averaged"),
    [("mobilenetv2", 0.99), ("mobilenetv2", 0.0), ("hybrid_resnet_vit", 0.99), ("vit_tiny_patch16_224", 0.0)],
)
def test_what_stands_still_does_so_to_the_bit(prepare, tmp_path, network, averaged):
    run = prepare(NETWORKS[network], training(HEAD, TOP, ALL, weight_decay=0.5, ema_decay=averaged))
    trained(run, tmp_path)
    torch.manual_seed(derived_seed(0, "student"))
    built = build(run.recipe.student, 4, 32)
    states = [built.state_dict()]
    states += [load_file(tmp_path / f"stage{n}_best.safetensors") for n in (1, 2, 3)]
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    for before, after, train in zip(states, states[1:], ("head", "top", "all"), strict=False):
        learns = blocks.learning(built, train, 0.3)
        moved = {name for name in after if not torch.equal(before[name], after[name])}
        tracked = {n for n in after if n.endswith(statistics) and f"{n.rpartition('.')[0]}.weight" in learns}
        assert moved <= learns | tracked, train
        assert tracked <= moved, train
        assert len(moved & learns) > 0.9 * len(learns), train  # a bias before a normalization has no gradient
    bests = [row["val_nll"] for row in log(tmp_path)]
    best = load_file(tmp_path / "best.safetensors")
    assert all(torch.equal(best[name], t) for name, t in states[1 + bests.index(min(bests))].items())


def test_schedules_begin_anew_and_the_log_counts_on(prepare, tmp_path):
    first = "{epochs=2, learning_rate=1e-2, train='head', warmup_epochs=0.0, min_learning_rate=1e-3}"
    second = "{epochs=4, learning_rate=1e-3, train='all', schedule='plateau', plateau_patience=0, plateau_factor=0.5}"
    trained(prepare(training(first, second, warmup_epochs=2.0)), tmp_path)
    rows = log(tmp_path)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["stage"] for row in rows] == [1, 1, 2, 2, 2, 2]
    # Three steps an epoch, and the log holds the rate of the last: of steps 2 and 5 of the 6 of the cosine.
    cosine = [1e-3 + 9e-3 * (1 + np.cos(np.pi * step / 6)) / 2 for step in (2, 5)]
    warm_up = [1e-3 * 3 / 6, 1e-3]
    plateau, factor, best = [], 1.0, float("inf")
    for row in rows[2:5]:
        factor *= 1.0 if row["val_nll"] < best else 0.5
        best = min(best, row["val_nll"])
        plateau.append(1e-3 * factor)
    assert [row["learning_rate"] for row in rows] == pytest.approx([*cosine, *warm_up, *plateau[1:]], rel=1e-5)


# NLL by epoch: the first stage stops one epoch after its best, the third, whose start is worse, after its third.
VALIDATION = (0.9, 0.5, 0.7, 0.4, 0.3, 0.8, 0.7, 0.75)


def test_each_stage_stops_for_itself_and_begins_from_the_best_of_the_one_before(prepare, tmp_path, monkeypatch):
    began, ended = [], []

    def entering(trainer):
        enter(trainer)
        began.append({name: t.clone() for name, t in trainer.network.state_dict().items()})
        assert not trainer.optimizer.state
        assert trainer.ema.updates == 0

    def scripted(trainer):
        ended.append({name: t.clone() for name, t in trainer.shipped.state_dict().items()})
        return {"val_nll": VALIDATION[len(ended) - 1], "val_accuracy": 0.5}

    enter = stages.Trainer._enter_next_stage
    monkeypatch.setattr(stages.Trainer, "_enter_next_stage", entering)
    monkeypatch.setattr(stages.Trainer, "_validate", scripted)
    long = [stage.replace("epochs=1", f"epochs={n}") for stage, n in ((HEAD, 5), (TOP, 2), (ALL, 9))]
    run = prepare(training(*long, early_stopping_patience=1))
    trained(run, tmp_path)
    assert [row["stage"] for row in log(tmp_path)] == [1, 1, 1, 2, 2, 3, 3, 3]
    kept = [
        load_file(tmp_path / f"{name}.safetensors") for name in ("stage1_best", "stage2_best", "stage3_best", "best")
    ]
    for state, epoch in zip([*began, *kept], (2, 5, 2, 5, 7, 5), strict=True):
        assert all(torch.equal(t, ended[epoch - 1][name]) for name, t in state.items())


class Projecting:
    """Labels, and the distance of a projection of the logits from 1: what a loss with parameters of its own does."""

    def __init__(self, labels):
        self.labels = labels
        self.losses = nn.ModuleDict({"projector": nn.Linear(4, 4)})

    def __call__(self, student, batch):
        logits, terms = self.labels(student, batch)
        return logits, [*terms, Term("projected", 1.0, (self.losses["projector"](logits) - 1).square().mean())]


def test_parameters_of_losses_learn_in_every_stage(prepare, tmp_path):
    run = prepare(training(HEAD, TOP, ALL))
    settings, network = run.recipe.training, build(run.recipe.student, 4, 32)
    objective = Projecting(stages.LabelObjective(settings, run.labels[run.rows("train")], 4, run.processes))
    weight = objective.losses["projector"].weight
    seen = [weight.detach().clone()]

    class Watching:
        def step(self, *_):
            pass

        def epoch(self, history):
            seen.append(weight.detach().clone())

    stages.Trainer(network, objective, run.task(0.0), settings, run.processes, tmp_path, "x").fit(Watching())
    assert len(seen) == 4
    assert not any(torch.equal(a, b) for a, b in pairwise(seen))


def test_gradients_of_an_earlier_stage_do_not_count_in_the_clipped_norm(prepare, tmp_path):
    network = trained(prepare(training(ALL, HEAD)), tmp_path)
    classifier = {"body.classifier.weight", "body.classifier.bias"}
    assert {name for name, p in network.named_parameters() if p.grad is not None} == classifier


def test_what_never_learns_by_itself_does_not_learn_in_a_stage_either():
    network = build(Network(width=0.35), 4, 32)
    network.body.conv_stem.weight.requires_grad_(False)
    freezing = Freezing(network)
    for train in ("head", "all"):
        freezing.only(blocks.learning(network, train, 0.3))
    assert {name for name, p in network.named_parameters() if not p.requires_grad} == {"body.conv_stem.weight"}


def test_a_stage_of_everything_is_a_training_and_a_second_one_is_no_more_of_it(prepare, tmp_path):
    half = "{epochs=2, learning_rate=1e-3, train='all'}"
    trained(prepare(training(half, half, best_by="last")), tmp_path / "two")
    trained(prepare("training={epochs=2, learning_rate=1e-3, batch_size=16, best_by='last'}"), tmp_path / "one")
    first = (tmp_path / "one/best.safetensors").read_bytes()
    assert first == (tmp_path / "two/stage1_best.safetensors").read_bytes()
    assert first != (tmp_path / "two/best.safetensors").read_bytes()


def test_a_training_without_stages_writes_no_stage(prepare, tmp_path):
    trained(prepare("training={epochs=1, batch_size=16}"), tmp_path)
    assert "stage" not in log(tmp_path)[0]
    assert not list(tmp_path.glob("stage*"))


def test_a_state_of_before_there_were_stages_goes_on():
    old = {"epochs_done": 3, "best": 0.5, "best_epoch": 2, "seconds": 1.0, "history": []}
    found = TrainingProgress(**old)
    assert (found.stage, found.stage_begin, found.best_before) == (0, 0, float("inf"))


def test_a_network_that_cannot_be_parted_is_found_before_training(monkeypatch):
    staged = recipe.load(None, [f"training.stages=[{HEAD}, {ALL}]"])
    check.recipe(staged)
    monkeypatch.setattr(check, "build", lambda *_: headless)
    headless = build(Network(width=0.35), 2, 32)
    headless.body.classifier = nn.Identity()
    with pytest.raises(EdgekdError, match="a classifier after the backbone"):
        check._fine_tuning(staged.student, staged.training, 32)

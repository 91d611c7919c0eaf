"""The README quotes the stored results of the audit's benchmarks, and they reach what is promised."""

import gzip
import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from edgekd.benchmarking.schema import read_report
from edgekd.bundle import Bundle
from edgekd.measures import paired
from edgekd.reports import study as study_report
from edgekd.runtimes import formats
from edgekd.studies import comparison, result, table
from edgekd.studies.hardest import hardest

ROOT = Path(__file__).parents[1]
NETWORKS = ("mri4p-mobilenetv2", "mri4p-efficientnet-lite0", "mri4p-mobilenetv2-small")


@pytest.mark.parametrize("name", ["audit_planted", "audit_scaling"])
def test_the_readme_quotes_the_measured_figures(name, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    benchmark = importlib.import_module(name)
    results = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))
    assert "\n".join(benchmark.readme_rows(results)) in (ROOT / "benchmarks/README.md").read_text(encoding="utf-8")


def test_the_readme_quotes_the_measured_devices(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    results = json.loads((ROOT / "benchmarks/results/devices.json").read_text(encoding="utf-8"))
    measured, emulated = "\n".join(importlib.import_module("device_table").readme_rows(results)).split("\n\n")
    readme = (ROOT / "benchmarks/README.md").read_text(encoding="utf-8")
    assert measured in readme
    assert emulated in readme
    assert {r["network"] for r in results["emulated"]} == set(NETWORKS)


def test_rows_of_a_network_take_the_place_of_its_earlier_ones(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    put = importlib.import_module("device_table").put
    rows = [{"network": network, "row": number} for number, network in enumerate("aabbc")]
    put(rows, "b", [{"network": "b", "row": 5}])
    put(rows, "d", [{"network": "d", "row": 6}])
    assert [(row["network"], row["row"]) for row in rows] == [("a", 0), ("a", 1), ("b", 5), ("c", 4), ("d", 6)]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_reports_are_stored_whole(name, tmp_path):
    packed = (ROOT / "benchmarks/results" / f"{name}.report.json.gz").read_bytes()
    (tmp_path / "report.json").write_bytes(gzip.decompress(packed))
    report = read_report(tmp_path)
    assert (report.bundle.name, report.failed) == (name, ())
    assert {row.format for row in report.rows} == set(formats())


def test_the_readme_quotes_the_measured_routes():
    tables = (ROOT / "benchmarks/results/export_routes.md").read_text(encoding="utf-8").split("\n\n")
    readme = (ROOT / "benchmarks/README.md").read_text(encoding="utf-8")
    assert [table for table in tables if table.startswith("|") and table.strip() not in readme] == []


def test_the_readme_quotes_neurotriads_table(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    script = importlib.import_module("neurotriad")
    results = json.loads((ROOT / "benchmarks/results/neurotriad.json").read_text(encoding="utf-8"))
    assert [(row["name"], row["recipe"], row["role"]) for row in results["rows"]] == [
        (entry.name, entry.recipe, entry.role) for entry in script.TABLE
    ]
    assert all(row["here"] for row in results["rows"])
    assert script.markdown(results) in (ROOT / "models/recipes/README.md").read_text(encoding="utf-8")


def test_the_readme_quotes_how_far_explanations_can_be_trusted(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    script = importlib.import_module("explanations")
    results = json.loads((ROOT / "benchmarks/results/explanations.json").read_text(encoding="utf-8"))
    assert {name: set(parts) for name, parts in results.items()} == {name: set(script.PARTS) for name in script.BUNDLES}
    for name, parts in results.items():
        for part, document in parts.items():
            methods, images = script.PARTS[part]
            assert (document["bundle"], document["images"]) == (name, images)
            assert {c["method"] for c in document["drift"]} >= set(methods.split(","))
    tables = script.markdown(results)
    assert (ROOT / "benchmarks/results/explanations.md").read_text(encoding="utf-8") == tables
    assert tables in (ROOT / "benchmarks/README.md").read_text(encoding="utf-8")


def test_the_readme_quotes_the_published_systems(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    script = importlib.import_module("published_systems")
    results = json.loads((ROOT / "benchmarks/results/published_systems.json").read_text(encoding="utf-8"))
    assert [row["recipe"] for row in results["rows"]] == [system.recipe for system in script.SYSTEMS]
    lacking = [(row["recipe"], role) for row in results["rows"] for role, found in row["networks"].items() if not found]
    assert not lacking
    assert script.markdown(results) in (ROOT / "models/recipes/README.md").read_text(encoding="utf-8")


def test_the_readme_quotes_what_each_loss_gains(monkeypatch):
    from edgekd.distillation import losses as known

    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    losses = importlib.import_module("losses")
    results = json.loads((ROOT / "benchmarks/results/losses.json").read_text(encoding="utf-8"))
    assert set(results["weights"]) == set(losses.WEIGHTS) == set(known.names())
    assert [row["name"] for row in results["rows"]] == list(losses.variants())
    table = losses.markdown(results)
    assert (ROOT / "benchmarks/results/losses.md").read_text(encoding="utf-8") == table
    assert table in (ROOT / "benchmarks/README.md").read_text(encoding="utf-8")
    assert len(results["seeds"]) == 3


@pytest.mark.parametrize("name", ["phantoms", "s2-phantoms"])
def test_the_readme_quotes_the_studies_on_phantoms(name):
    stored = (ROOT / f"benchmarks/results/study_{name}.md").read_text(encoding="utf-8")
    assert stored.split("\n\n")[1] in (ROOT / "benchmarks/README.md").read_text(encoding="utf-8")


def test_the_readme_quotes_relevance_and_cosine_against_their_baseline():
    found = result.load(ROOT / "benchmarks/results/study_s2-phantoms.json")
    groups, rows = np.array([image.group for image in found.images]), list(range(len(found.images)))
    baseline, own = (table.answers(found, name).of(found.study.seeds, rows) for name in ("gradcam-l2", "lrp-cosine"))
    gain = table.gain(baseline, own, groups)
    low, high = gain.interval_pp
    more, less = gain.nll_interval
    said = f"{gain.change_pp:+.2f} pp [{low:.1f}, {high:.1f}] more than `gradcam-l2` rightly"
    said += f" (sign-flip by patient p = {gain.p:.3f}), with an NLL lower by {-gain.nll_change:.3f} [{-less:.3f}, {-more:.3f}]"
    assert said in (ROOT / "benchmarks/README.md").read_text(encoding="utf-8")


def test_the_readme_quotes_the_speed_of_training_in_bfloat16(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    script = importlib.import_module("training_precision")
    rows = json.loads((ROOT / "benchmarks/results/training_precision.json").read_text(encoding="utf-8"))["rows"]
    assert script.markdown(rows) in (ROOT / "benchmarks/README.md").read_text(encoding="utf-8")
    networks = [row for row in rows if not row["network"].startswith("deit")]
    speeds = [{way: float(np.median(found)) for way, found in row["images_per_s"].items()} for row in networks]
    assert (sum(s["autocast alone"] < s["float32"] for s in speeds), len(speeds)) == (4, 4)


def test_the_readme_quotes_the_speed_of_the_quantization_aware_stage(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    script = importlib.import_module("fake_quantization_speed")
    found = json.loads((ROOT / "benchmarks/results/fake_quantization_speed.json").read_text(encoding="utf-8"))
    assert script.markdown(found["rows"]) in (ROOT / "benchmarks/README.md").read_text(encoding="utf-8")
    told = [f"{row['ratio']['median']:.1f}" for row in found["rows"]]
    assert min(told) == "2.0"


def test_the_readme_quotes_what_changes_an_int8_files_answers(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    script = importlib.import_module("int8_flips")
    results = json.loads((ROOT / "benchmarks/results/int8_flips.json").read_text(encoding="utf-8"))
    table = script.markdown(results)
    assert table == (ROOT / "benchmarks/results/int8_flips.md").read_text(encoding="utf-8")
    assert table.strip() in (ROOT / "models/README.md").read_text(encoding="utf-8")
    alone = {name: found["rows"]["float, black border"]["test"]["flips"] for name, found in results.items()}
    assert alone == {"mri4p-mobilenetv2-small": 17, "mri4p-mobilenetv2": 0, "mri4p-efficientnet-lite0": 1}
    for name, found in results.items():
        assert set(found["rows"]) <= set(script.WAYS)
        assert (
            found["student_sha256"] == Bundle.open(ROOT / "models" / name).manifest.files["weights.safetensors"].sha256
        )


def test_the_readme_quotes_the_224_px_graphs_with_grey_borders():
    found = json.loads((ROOT / "benchmarks/results/int8_drift_grey_224.json").read_text(encoding="utf-8"))
    rows = [next(row for row in rows if row["runtime_format"] == "tflite-int8") for rows in found.values()]
    flips, changes = ([row[key] for row in rows] for key in ("flips", "accuracy_change_pp"))
    told = f"the new ones {flips[0]} and {flips[1]}, by {changes[0]:+.2f} and {changes[1]:+.2f} pp"
    assert told in (ROOT / "models/README.md").read_text(encoding="utf-8")
    for name, of_shipped in zip(found, (4, 0), strict=True):
        record = json.loads((ROOT / "models" / name / "artefacts/tflite-int8.json").read_text(encoding="utf-8"))
        assert len(record["drift"]["flips"]) == of_shipped


def test_how_far_logits_move_by_hand(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    distance = importlib.import_module("int8_flips").distance
    first = np.array([[3.0, 0, 0], [1.0, 0.5, 0]])
    second = first + np.array([[5.0, 5, 5], [0.0, 0.6, 0.0]])  # the first moves as a whole: no softmax sees it
    found = distance(first, second)
    assert (found["images"], found["flips"], found["undecided"]) == (2, 1, 1)
    of_the_second = (2 * 0.2**2 + 0.4**2) / 3
    assert found["moved_undecided"] == pytest.approx(of_the_second**0.5)
    assert found["moved"] == pytest.approx((of_the_second / 2) ** 0.5)


def words_of(page):
    """A page's words, wherever its lines end."""
    return " ".join((ROOT / page).read_text(encoding="utf-8").split()).replace("−", "-")


def test_the_readme_quotes_the_reference_students_out_of_fold():
    words = words_of("models/README.md")
    studies = [result.load(ROOT / f"benchmarks/results/study_{name}.json") for name in NETWORKS]
    committees: dict[int, float] = {}
    for found in studies:
        assert " ".join(study_report.markdown(found).split("\n\n")[1].split()).replace("−", "-") in words
        rows = {row.variant: row for row in found.table}
        taught, gain = rows["kd"], rows["kd"].gain
        said = paired.words(gain.change_pp, gain.interval_pp)
        assert f"{100 * taught.accuracy:.2f} %" in words
        assert said in words
        assert "{:+z.3f} [{:z.3f}, {:z.3f}]".format(gain.nll_change, *gain.nll_interval) in words
        assert said in words_of("README.md")
        for run in found.runs:
            if run.teacher_accuracy:  # the same committee teaches all three
                assert committees.setdefault(run.fold, run.teacher_accuracy) == pytest.approx(run.teacher_accuracy)
    *shares, last = [f"{100 * committees[fold]:.2f}" for fold in sorted(committees)]
    assert f"{', '.join(shares)} and {last} % of the three folds" in words
    assert "93.96 % [91.9, 96.0] of 3,890 slices" in words


FOLDS = {1: "one fold", 2: "two folds", 3: "three folds", 4: "four folds", 5: "all folds"}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_first_page_tells_of_each_student_on_test_and_out_of_fold(name, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    script = importlib.import_module("reference_students")
    measured = json.loads((ROOT / "benchmarks/results/reference_students.json").read_text(encoding="utf-8"))[name]
    found = result.load(ROOT / f"benchmarks/results/study_{name}.json")
    alone, taught = ({row.variant: row for row in found.table}[variant] for variant in ("control", "kd"))
    folds = [
        FOLDS[sum(run.variant == variant and not run.reason for run in found.runs)] for variant in ("control", "kd")
    ]
    file = measured["file"]
    cells = [
        f"{file['size_bytes'] / 1e6:.2f}",
        script.answered(file)[0],
        paired.words(measured["gain"]["accuracy_change_pp"], measured["gain"]["interval_pp"]),
        f"{script.drift_of(name)['flips']} answers",
        f"{study_report.percent(alone.accuracy, alone.interval)}, {folds[0]}",
        f"{paired.words(taught.gain.change_pp, taught.gain.interval_pp)}, {folds[1]}",
    ]
    assert f"| {' | '.join(cells)} |" in words_of("README.md")


@pytest.mark.parametrize("other", NETWORKS[1:])
def test_the_readme_compares_the_reference_students_out_of_fold(other):
    words = words_of("models/README.md")
    largest, found = (result.load(ROOT / f"benchmarks/results/study_{name}.json") for name in (NETWORKS[0], other))
    for change in comparison.compare(largest, found).changes:
        p = f"(p = {study_report.p_text(change.gain.p)})".replace("= <", "<")
        assert f"{paired.words(change.gain.change_pp, change.gain.interval_pp)} {p}" in words
        both = [f"{100 * share:.2f} %" for share in (change.after, change.before)]
        assert [share for share in both if share not in words] == []


def test_the_readme_names_where_the_wrong_answers_are():
    readme = (ROOT / "models/README.md").read_text(encoding="utf-8")
    found = result.load(ROOT / "benchmarks/results/study_mri4p-mobilenetv2.json")
    every = hardest(found, len(found.images))
    rows = [study_report.hard_header(found), *(study_report.hard_cells(hard, found) for hard in every[:6])]
    for row in rows:
        assert f"| {' | '.join(row)} |" in readme
    assert round(100 * sum(hard.share for hard in every[:10])) == 41
    assert "Ten groups of 494 have 41 %" in readme
    labels = np.array([image.label for image in found.images])
    controls = [run for run in found.runs if run.variant == "control"]
    wrong = [(run.probs.argmax(1) != labels[list(run.images)]).sum() for run in controls]
    assert (sum(wrong), sum(hard.wrong for hard in every[:2])) == (235, 39)
    assert "Two groups of the fourth fold have 39 of the 235 wrong answers" in readme


def test_the_readme_counts_the_pictures_without_a_tumour_that_are_missed():
    students = ("mri4p-mobilenetv2", "mri4p-efficientnet-lite0", "mri4p-mobilenetv2-small")
    kept = [load_file(ROOT / "models" / name / "evaluation/test.safetensors") for name in students]
    healthy = kept[0]["labels"] == 2
    missed = np.stack([answers["logits"].argmax(1)[healthy] != 2 for answers in kept])
    assert (healthy.sum(), missed.any(0).sum(), missed.all(0).sum()) == (83, 17, 2)
    readme = (ROOT / "models/README.md").read_text(encoding="utf-8")
    assert "miss 17 of the 83 pictures" in readme


def test_the_readme_quotes_how_well_a_ranking_foretells(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    script = importlib.import_module("rank_correlation")
    results = json.loads((ROOT / "benchmarks/results/rank_correlation.json").read_text(encoding="utf-8"))
    assert sorted(row["candidate"] for row in results["rows"]) == sorted(script.CANDIDATES)
    readme = (ROOT / "benchmarks/README.md").read_text(encoding="utf-8")
    assert [table for table in script.markdown(results).strip().split("\n\n") if table not in readme] == []


def test_the_readme_quotes_what_an_accuracy_owes_to_known_patients():
    folder, readme = ROOT / "benchmarks/results", (ROOT / "models/README.md").read_text(encoding="utf-8")
    results = [result.load(folder / f"study_figshare3-by-{dealt}.json") for dealt in ("slice", "patient")]
    for dealt, found in zip(("slice", "patient"), results, strict=True):
        stored = (folder / f"study_figshare3-by-{dealt}.md").read_text(encoding="utf-8").split("\n\n")[1]
        cells = [cell.strip() for cell in stored.splitlines()[-1].strip("| ").split("|")]
        accuracy, _, _, _, *recalls, nll, _, ece, _, runs = cells[1:]
        assert f"| {dealt} | " + " | ".join((accuracy, *recalls, nll, ece)) + " |" in readme
        assert (runs, len(found.images)) == ("5/5", 2412)
    compared = comparison.compare(*results)
    (change,) = compared.changes
    low, high = change.gain.interval_pp
    told = f"{change.gain.change_pp:+.2f} pp [{low:.1f}, {high:.1f}]".replace("-", "−")
    assert f"**{told}**, paired by slice, over {compared.groups} patients, p < 0.001" in readme
    wrong = [round(len(results[0].images) * (1 - share)) for share in (change.after, change.before)]
    assert f"({wrong[0]} against {wrong[1]})" in readme
    assert change.gain.p < 0.001


def test_the_readme_quotes_the_study_of_teachers_and_losses():
    readme = (ROOT / "models/README.md").read_text(encoding="utf-8")
    stored = (ROOT / "benchmarks/results/study_mri4p-students.md").read_text(encoding="utf-8")
    assert stored.split("\n\n")[1] in readme
    found = result.load(ROOT / "benchmarks/results/study_mri4p-students.json")
    assert f"{len(found.images):,}\nslices of {len(set(found.groups.tolist()))} patient groups" in readme
    means = []
    for variant in ("kd", "kd-deit-tiny", "kd-lite2"):
        right = [run.teacher_accuracy for run in found.runs if run.variant == variant]  # of as many images in each fold
        means.append(f"{100 * sum(right) / len(right):.2f} %")
    told = f"the committee is right on {means[0]}, DeiT-Tiny on {means[1]}, EfficientNet-Lite2 on {means[2]}."
    words = " ".join(readme.split()).replace("−", "-")
    assert told in words
    longer, matched = (table.answers(found, name) for name in ("control-40", "function-matching"))
    against, gain = (
        table.gain(longer, matched, found.groups),
        table.gain(table.answers(found, "control"), longer, found.groups),
    )
    assert f"against it is {paired.words(against.change_pp, against.interval_pp)}, p = {against.p:.3f}" in words
    taught = table.gain(longer, table.answers(found, "kd-deit-tiny-40"), found.groups)
    assert f"{paired.words(taught.change_pp, taught.interval_pp)}, p = {taught.p:.3f}" in words
    told = paired.words(gain.change_pp, gain.interval_pp).replace(" pp", "")
    assert f"`control-40`, gains {told}" in words
    for file in ("README.md", "models/README.md"):
        assert f"worth {told.replace(' [', ' points [')}" in (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.parametrize(("share", "told", "teacher"), [(10, "80.5 % (74 to 90", 80.5), (25, "85.9 % (83 to 90", 85.9)])
def test_the_readme_quotes_the_studies_of_few_labels(share, told, teacher):
    readme = (ROOT / "models/README.md").read_text(encoding="utf-8")
    stored = (ROOT / f"benchmarks/results/study_mri4p-few-labels-{share}.md").read_text(encoding="utf-8")
    assert stored.split("\n\n")[1] in readme
    found = result.load(ROOT / f"benchmarks/results/study_mri4p-few-labels-{share}.json")
    gain = next(row.gain for row in found.table if row.gain)
    low, high = gain.interval_pp
    assert f"**{gain.change_pp:+.2f} pp [{low:.1f}, {high:.1f}]**" in readme
    right = [run.teacher_accuracy for run in found.runs if run.variant == "kd"]  # of as many images in each fold
    assert told in readme
    assert round(100 * sum(right) / 5, 1) == teacher
    assert f"({100 * min(right):.0f} to {100 * max(right):.0f}" in told


def test_the_readme_quotes_the_study_on_slices_and_its_teachers():
    readme = (ROOT / "models/README.md").read_text(encoding="utf-8")
    stored = (ROOT / "benchmarks/results/study_mri4p-small.md").read_text(encoding="utf-8")
    assert stored.split("\n\n")[1] in readme
    runs = json.loads((ROOT / "benchmarks/results/study_mri4p-small.json").read_text(encoding="utf-8"))["runs"]
    taught = [run for run in runs if run["variant"] == "kd"]
    right = [round(run["teacher_accuracy"] * len(run["images"])) for run in taught]
    assert sum(len(run["images"]) for run in taught) == 3890
    accuracies = [100 * run["teacher_accuracy"] for run in taught]
    said = f"{100 * sum(right) / 3890:.2f} % right out of fold ({min(accuracies):.2f} to {max(accuracies):.2f} by fold)"
    assert said in " ".join(readme.split())


@pytest.mark.parametrize("images", ["phantom", "mri4p"])
def test_every_kind_of_planted_copy_was_found(images):
    stored = (ROOT / "benchmarks" / "results" / "audit_planted.json").read_text(encoding="utf-8")
    kinds = json.loads(stored)["sets"][images]["methods"]["edgekd"]["kinds"]
    assert {kind: found for kind, found in kinds.items() if min(found["recall"], found["precision"]) < 0.98} == {}


@pytest.fixture
def audited_patients():
    return json.loads((ROOT / "benchmarks/results/audit_patients.json").read_text(encoding="utf-8"))["sets"]


@pytest.mark.parametrize("images", ["mri4p", "figshare3"])
def test_splits_by_patient_are_clean_and_random_ones_only_look_clean(audited_patients, images):
    cases = audited_patients[images]["cases"]
    assert {case: row["test_images_copied_from_train"] for case, row in cases.items()} == dict.fromkeys(cases, 0)
    assert cases["as dealt, ids known"]["groups_in_two_splits"] == 0
    at_random = cases["at random, ids known"]
    assert at_random["test_images_of_groups_in_train"] > 0.8 * at_random["test_images"]
    assert cases["at random, ids hidden"]["groups_in_two_splits"] == 0  # without ids nothing of it can be seen
    assert not cases["as dealt, ids hidden"]["estimate_is_used"]


def test_the_stored_figures_on_patients_come_out_again(audited_patients, shared, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    found = importlib.import_module("audit_patients").measure(shared / "data/figshare3/manifest.csv")
    stored = audited_patients["figshare3"]
    assert found["cases"] == stored["cases"]
    assert found["estimate"] == pytest.approx(stored["estimate"])


def test_the_harness_adds_less_than_2_percent_to_what_it_times():
    results = json.loads((ROOT / "benchmarks/results/harness_overhead.json").read_text(encoding="utf-8"))
    assert [row["ratio_interval"][1] < 1.02 for row in results["work"]] == [True] * 3


def test_tables_show_the_p_by_group_and_mcnemars_of_rows_without_it(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    words = importlib.import_module("int8_drift").p_words
    assert words({"groups": 40, "p": 0.3, "mcnemar_p": 0.01}) == "0.30 (0.01)"
    assert words({"groups": None, "p": 0.01, "mcnemar_p": 0.01}) == words({"mcnemar_p": 0.01}) == "0.01"
    devices = importlib.import_module("device_table")
    row = json.loads((ROOT / "benchmarks/results/devices.json").read_text(encoding="utf-8"))["measured"][0]
    row |= {"accuracy_change_pp": -0.5, "mcnemar_p": 0.01, "p": None}
    assert "| -0.50 (0.01) |" in devices.measured_line(row)
    assert "| -0.50 (0.30) |" in devices.measured_line(row | {"p": 0.3})


def test_a_heat_map_costs_what_the_readme_says_and_no_more_than_promised(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    results = json.loads((ROOT / "benchmarks/results/heatmap_cost.json").read_text(encoding="utf-8"))
    tables = "\n".join(importlib.import_module("heatmap_cost").readme_rows(results)).split("\n\n")
    readme = (ROOT / "benchmarks/README.md").read_text(encoding="utf-8")
    assert [table for table in tables if table not in readme] == []
    for found in results.values():
        assert all(size["with"] / size["without"] < 1.01 for size in found["size_bytes"].values())
        assert all(count["with"] / count["without"] < 1.02 for count in found["instructions"].values())

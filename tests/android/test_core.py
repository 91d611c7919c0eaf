"""The demo's core in Java against Python: the same pixels to the bit, the same numbers, documents that Python accepts."""

import csv
import io
import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekd.android import archive, field_log
from edgekd.android.app_model import AppGolden, AppModel, ModelFile, Origin, UnsureBelow
from edgekd.bundle import FileRecord
from edgekd.devices.document import Golden, Job, Test, TestFiles, Timing, read_document
from edgekd.errors import EdgekdError
from edgekd.evaluating.field_log import scores
from edgekd.files import sha256_bytes, sha256_file
from edgekd.measures.intervals import exact
from edgekd.measures.latency import summarize
from edgekd.preprocess import KERNELS, InputContract, decode, to_pixels

ROOT = Path(__file__).parents[2]
CORE = ROOT / "android_demo/core/src"
ASSETS = ROOT / "android_demo/app/src/main/assets"
MAIN = "org.edgekd.core.Compare"


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    """A process that runs the core on what it is told; see Compare.java."""
    if not shutil.which("javac"):
        pytest.skip("no JDK (javac) on this machine")
    folder = tmp_path_factory.mktemp("core")
    main = sorted(map(str, (CORE / "main/java").rglob("*.java")))
    subprocess.run(
        ["javac", "--release", "8", "-Xlint:all,-options", "-Werror", "-d", folder, *main], check=True, timeout=120
    )
    test = [str(CORE / f"test/java/org/edgekd/core/{name}.java") for name in ("Fakes", "Compare")]
    subprocess.run(["javac", "-cp", folder, "-d", folder, *test], check=True, timeout=120)
    command = ["java", "-Xmx1g", "-Djava.awt.headless=true", "-cp", folder, MAIN]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        yield process
        process.stdin.close()


def compare(core, what, path):
    core.stdin.write(f"{what} {path}\n")
    core.stdin.flush()
    answer = core.stdout.readline().rstrip("\n")
    assert answer, "the core's process is gone"
    assert not answer.startswith("! "), answer
    return answer


# --- Pixels ---


def picture(rng, width, height, kind):
    """Noise, a checkerboard of extremes (where bicubic overshoots), or slopes."""
    if kind == 0:
        return rng.integers(0, 256, (height, width, 3), np.uint8)
    rows, columns = np.arange(height)[:, None], np.arange(width)[None, :]
    if kind == 1:
        grey = ((rows // 3 + columns // 2) % 2 * 255).astype(np.uint8)
    else:
        grey = ((7 * rows + 3 * columns) % 256).astype(np.uint8)
    return np.stack([grey, 255 - grey, grey // 2], -1)


def shapes(rng):
    """Widths and heights: everyday ones, single pixels, long thin ones, and the input's own."""
    fixed = [(1, 1), (1, 7), (9, 1), (2, 2), (1, 900), (1100, 1), (3, 700), (640, 2), (32, 32), (64, 32), (31, 33)]
    return fixed + [tuple(map(int, rng.integers(2, 260, 2))) for _ in range(21)]


def resize_cases(rng):
    """Any size to any other, in both kernels."""
    targets = [(32, 32), (1, 1), (1, 40), (57, 3), (224, 224)]
    for index, (width, height) in enumerate(shapes(rng)):
        for target in (targets[index % 5], tuple(map(int, rng.integers(1, 120, 2)))):
            for kernel in KERNELS:
                image = picture(rng, width, height, index % 3)
                size = (width, target[1]) if index % 7 == 0 else target  # sometimes one side stays as it is
                found = Image.fromarray(image).resize(size, KERNELS[kernel], reducing_gap=None)
                yield image, {"kernel": kernel, "size": size}, np.asarray(found)


def contract_cases(rng):
    """Squash and crop of the input contract, through edgekd's own preprocessing."""
    for index, (width, height) in enumerate(shapes(rng)):
        for fit, fraction in (("squash", 1.0), ("crop", 1.0), ("crop", 0.875), ("crop", float(rng.uniform(0.2, 1)))):
            kernel = ("bilinear", "bicubic")[(index + len(fit)) % 2]
            contract = InputContract(size=(32, 33, 7)[index % 3], fit=fit, crop_fraction=fraction, kernel=kernel)
            image = picture(rng, width, height, (index + 1) % 3)
            found = to_pixels(Image.fromarray(image), contract)
            yield image, {"input": contract.model_dump(mode="json")}, found


def test_resize_and_preprocessing_are_pillows_to_the_bit(core, tmp_path):
    rng = np.random.default_rng(17)
    cases = [*resize_cases(rng), *contract_cases(rng)]
    assert len(cases) >= 250
    described = [{"width": i.shape[1], "height": i.shape[0], **facts} for i, facts, _ in cases]
    (tmp_path / "cases.json").write_text(json.dumps({"cases": described}))
    (tmp_path / "images.bin").write_bytes(b"".join(i.tobytes() for i, _, _ in cases))
    compare(core, "pixels", tmp_path)
    found, at = np.fromfile(tmp_path / "pixels.bin", np.uint8), 0
    for facts, (_, _, expected) in zip(described, cases, strict=True):
        part = found[at : at + expected.size]
        assert np.array_equal(part, expected.ravel()), facts
        at += expected.size
    assert at == len(found)


def test_a_photograph_sized_image(core, tmp_path):
    image = picture(np.random.default_rng(3), 2400, 1800, 0)
    contract = InputContract(size=224, fit="crop", crop_fraction=0.875, kernel="bicubic")
    facts = {"width": 2400, "height": 1800, "input": contract.model_dump(mode="json")}
    (tmp_path / "cases.json").write_text(json.dumps({"cases": [facts]}))
    (tmp_path / "images.bin").write_bytes(image.tobytes())
    compare(core, "pixels", tmp_path)
    assert (tmp_path / "pixels.bin").read_bytes() == to_pixels(Image.fromarray(image), contract).tobytes()


def test_the_embedded_model_and_its_golden_images(core):
    """The same files give the same tensors in Java, and model.json is read there."""
    found, expected = json.loads(compare(core, "model", ASSETS)), json.loads((ASSETS / "model.json").read_text())
    assert found["pixels_sha256"] == expected["golden"]["pixels_sha256"]
    assert found["unsure_below"] == expected["unsure_below"]["confidence"]
    assert found["heatmap"] == [expected["heatmap"]["height"], expected["heatmap"]["width"]] == [7, 7]
    assert found["has_sets"] == (expected["conformal"] is not None)
    for key in ("name", "label_names", "display_names", "licence", "notice"):
        assert found[key] == expected[key]


# --- Numbers and text ---


def test_statistics_and_probabilities_are_pythons(core, tmp_path):
    rng = np.random.default_rng(5)
    samples = [rng.gamma(3.0, 2.0, n).tolist() for n in (1, 2, 3, 10, 11, 200, 999)] + [[0.0, 0.0], [5.0] * 7]
    codes, scale, temperature = rng.integers(-128, 128, (200, 12)), float(np.float32(0.0837)), 0.859979164546626
    cases = {
        "samples": [{"count": len(s), "times": s} for s in samples],
        "codes": codes.tolist(),
        "rows": len(codes),
        "columns": codes.shape[1],
        "scale": scale,
        "temperature": temperature,
    }
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    compare(core, "numbers", tmp_path)
    found = json.loads((tmp_path / "numbers.json").read_text())
    for sample, summary in zip(samples, found["summaries"], strict=True):
        e = summarize(sample)
        expected = [e.count, e.median_ms, e.p90_ms, e.p99_ms, e.mean_ms, e.std_ms]
        assert summary == pytest.approx(expected, rel=1e-12, abs=1e-15)
    z = codes * scale
    z = np.exp((z - z.max(1, keepdims=True)) / temperature)  # as edgekd/devices/runner.py
    expected = (z / z.sum(1, keepdims=True)).astype(np.float32)
    np.testing.assert_array_max_ulp(np.array(found["probs"], np.float32), expected, maxulp=1)


def test_json_survives_java(core, tmp_path):
    value = {
        "text": 'ä\U0001f600"\\\n\t\u0000/',
        "numbers": [0, -1, 2**53, 1.5, 1e-300, -0.1, 1e300, 0.1 + 0.2],
        "nested": [{"a": [True, False, None, [], {}]}],
        "": "",
    }
    for escaped in (True, False):
        file = tmp_path / "value.json"
        file.write_text(json.dumps(value, ensure_ascii=escaped), encoding="utf-8")
        assert json.loads(compare(core, "json", file)) == value


# --- The field log ---


def log_rows(rng, count):
    """Marked answers of two models: confidences on the bins' edges too, ties, unknown classes, with sets and without."""
    for i in range(count):
        if i % 5 == 0:
            high = float(np.linspace(0, 1, 16)[8 + i // 5 % 8])
            probs = [high, 1 - high, 0.0]
        elif i % 7 == 0:
            probs = [0.25, 0.375, 0.375]
        else:
            probs = rng.dirichlet([0.5] * 3).astype(np.float32).astype(float).tolist()
        answer, truth = int(np.argmax(probs)), int(rng.integers(3))
        is_known, names = rng.random() < 0.8 or truth == answer, ("glioma", "=sum", "no_tumor")
        found = [n for n, p in zip(names, probs, strict=True) if p > 0.2]
        yield {
            "time": f"2026-03-01T00:{i // 60 % 60:02d}:{i % 60:02d}Z",
            "model": "mri4",
            "model_sha256": "ab"[i % 3 == 0] * 64,
            "image_sha256": f"{i if i % 11 else 0:064x}",  # some images more than once
            "probs": json.dumps(dict(zip(names, probs, strict=True))),
            "answer": guarded(names[answer]),
            "set": "" if i % 3 == 0 else json.dumps(found),
            "unsure": "yes" if max(probs) < 0.6 else "no",
            "mark": "right" if truth == answer else "wrong",
            "true_label": guarded(names[truth]) if is_known else "",
        }
        if i % 13 == 12:  # a mark that is taken back
            yield {
                **row_like(i),
                "probs": json.dumps(dict(zip(names, [1.0, 0.0, 0.0], strict=True))),
                "answer": "glioma",
            }


def guarded(name):
    return "'" + name if name[0] in "=+-@'" else name


def row_like(i):
    facts = {"time": "2026-03-01T01:00:00Z", "model": "mri4", "set": "", "unsure": "no", "mark": "withdrawn"}
    return facts | {"model_sha256": "ab"[i % 3 == 0] * 64, "image_sha256": f"{i:064x}", "true_label": ""}


def shares(found):
    return found and [found.count, found.of, *found.interval]


def close(expected):
    return expected if expected is None else pytest.approx(expected, abs=1e-9)


def test_scores_of_a_field_log_are_pythons(core, tmp_path):
    with (tmp_path / "log.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, field_log.COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(log_rows(np.random.default_rng(8), 700))
    found = json.loads(compare(core, "log", tmp_path / "log.csv"))
    assert found["damaged"] == 0
    log = field_log.read(tmp_path / "log.csv")
    assert log.replaced > 50
    assert [m["model_sha256"] for m in found["models"]] == list(log.by_model)
    for java, entries in zip(found["models"], log.by_model.values(), strict=True):
        python = scores(entries)
        for name in ("accuracy", "unsure", "sure_accuracy", "set_coverage"):
            assert java[name] == close(shares(getattr(python, name))), name
        assert java["ece"] == pytest.approx(python.ece, abs=1e-12)
        for mine, bin in zip(java["bins"], python.reliability, strict=True):
            assert mine == pytest.approx([bin.low, bin.high, bin.count, bin.confidence, bin.accuracy], abs=1e-12)
        for (name, recall, precision), each in zip(java["classes"], python.classes, strict=True):
            assert (name, recall, precision) == (
                each.label_name,
                close(shares(each.recall)),
                close(shares(each.precision)),
            )
    (tmp_path / "shared.csv").write_text(found["csv"])
    again = field_log.read(tmp_path / "shared.csv")
    assert again.replaced == 0
    assert {k: set(map(repr, v)) for k, v in again.by_model.items()} == {
        k: set(map(repr, v)) for k, v in log.by_model.items()
    }


def test_exact_intervals_of_a_large_log(core, tmp_path):
    rows = [
        row_like(0) | {"image_sha256": f"{i:064x}", "probs": '{"a":0.75,"b":0.25}', "answer": "a"} for i in range(9000)
    ]
    with (tmp_path / "log.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, field_log.COLUMNS, lineterminator="\n")
        table.writeheader()
        for i, row in enumerate(rows):
            table.writerow(
                row | ({"mark": "wrong", "true_label": "b"} if i % 9 == 0 else {"mark": "right", "true_label": "a"})
            )
    (found,) = json.loads(compare(core, "log", tmp_path / "log.csv"))["models"]
    assert found["accuracy"] == pytest.approx([8000, 9000, *exact(8000 / 9000, 9000)], abs=1e-9)


# --- Models from a zip ---


def app_files(size=16):
    """The files of an app's model that `Fakes.MeanEngine` is, with two golden images."""
    rng, contract = np.random.default_rng(6), InputContract(size=size, fit="crop", crop_fraction=0.8)
    images = {}
    for i in range(2):
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (24, 30, 3), np.uint8)).save(buffer, "PNG")
        images[f"golden/{i}.png"] = buffer.getvalue()
    pixels = np.stack([to_pixels(decode(content), contract) for content in images.values()])
    content = b"no model, and none is needed"
    origin = json.loads((ASSETS / "model.json").read_text())["origin"]
    model = AppModel(
        name="mean",
        format="tflite",
        label_names=LABELS,
        display_names=("A", "B", "C"),
        input=contract,
        io="uint8",
        calibration_temperature=1.0,
        model=ModelFile(sha256=sha256_bytes(content), size_bytes=len(content)),
        unsure_below=UnsureBelow(confidence=0.4, rule="", images=1, share=0.0, accuracy_below=None, accuracy_above=1.0),
        golden=AppGolden(
            images=tuple(images),
            images_sha256=tuple(map(sha256_bytes, images.values())),
            decoded_sha256=tuple(sha256_bytes(decode(i).tobytes()) for i in images.values()),
            pixels_sha256=tuple(sha256_bytes(p.tobytes()) for p in pixels),
            probs=tuple(map(tuple, expected_probs(pixels).tolist())),
            tolerance=1e-3,
        ),
        samples=(),
        origin=Origin(**origin),
        licence="",
    )
    text = json.dumps(model.model_dump(mode="json", by_alias=True))
    return {"model.tflite": content, **images, "model.json": text.encode()}


def test_a_zip_of_pythons_is_taken_as_it_is(core, tmp_path):
    files = app_files()
    archive.write(tmp_path / "model.zip", files)
    found = json.loads(compare(core, "import", tmp_path))
    assert (found["name"], found["display_names"]) == ("mean", ["A", "B", "C"])
    home = Path(found["folder"])
    assert {str(p.relative_to(home)): p.read_bytes() for p in home.rglob("*") if p.is_file()} == files


def changed(files, **values):
    return files | {"model.json": json.dumps(json.loads(files["model.json"]) | values).encode()}


HOSTILE_ZIPS = {
    "a path that leaves the folder": (lambda f: f | {"../../evil": b"x"}, "a name that no model's file has"),
    "an absolute path": (lambda f: f | {"/tmp/evil": b"x"}, "a name that no model's file has"),
    "another model": (lambda f: f | {"model.tflite": b"another"}, "is not the file that model.json describes"),
    "another picture": (lambda f: f | {"golden/1.png": f["golden/0.png"]}, "golden/1.png is not the file"),
    "a picture that is none": (lambda f: f | {"golden/1.png": b"x"}, "golden/1.png is not the file"),
    "another resize": (
        lambda f: changed(f, input=json.loads(f["model.json"])["input"] | {"kernel": "bicubic"}),
        "the input tensor differs",
    ),
    "other answers": (
        lambda f: changed(f, golden=json.loads(f["model.json"])["golden"] | {"probs": [[1.0, 0.0, 0.0]] * 2}),
        "a probability differs",
    ),
    "another schema": (lambda f: changed(f, schema="edgekd.app/9"), "expected schema edgekd.app/1, found edgekd.app/9"),
    "no description": (lambda f: {k: v for k, v in f.items() if k != "model.json"}, "no model.json in it"),
}


@pytest.mark.parametrize("case", HOSTILE_ZIPS)
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_hostile_zips_are_refused_and_leave_nothing(core, tmp_path, case, compression):
    change, message = HOSTILE_ZIPS[case]
    with zipfile.ZipFile(tmp_path / "model.zip", "w", compression) as packed:
        for name, content in change(app_files()).items():
            packed.writestr(name, content)
    found = json.loads(compare(core, "import", tmp_path))
    assert message in found["refused"]
    assert list((tmp_path / "models").iterdir()) == []
    assert {p.name for p in tmp_path.iterdir()} == {"model.zip", "models"}


# --- Jobs ---

LABELS, SIZE = ("a", "b", "c"), 16


def expected_probs(pixels):
    """What Fakes.MeanEngine answers, as float32: logits k * mean / 255."""
    z = np.arange(len(LABELS)) * (pixels.reshape(len(pixels), -1).mean(1, keepdims=True) / 255)
    z = np.exp(z)
    return (z / z.sum(1, keepdims=True)).astype(np.float32)


def write_job(folder, **changes):
    """A job with two golden images and five to answer, in `folder`."""
    rng, contract = np.random.default_rng(2), InputContract(size=SIZE, fit="crop", crop_fraction=0.8)
    names = ("golden/0.png", "golden/1.png")
    (folder / "golden").mkdir(parents=True)
    for name in names:
        Image.fromarray(rng.integers(0, 256, (24, 30, 3), np.uint8)).save(folder / name)
    pixels = np.stack([to_pixels(decode(folder / n), contract) for n in names])
    test = rng.integers(0, 256, (9, SIZE, SIZE, 3), np.uint8)
    np.save(folder / "golden.npy", pixels)
    np.save(folder / "test.npy", test)
    (folder / "model.tflite").write_bytes(b"no model, and none is needed")
    files = ("model.tflite", "golden.npy", "test.npy", *names)
    records = {n: FileRecord(sha256=sha256_file(folder / n), size_bytes=(folder / n).stat().st_size) for n in files}
    values = {
        "key": "k1",
        "round": 0,
        "provenance": "hardware",
        "format": "tflite",
        "runtime": "tflite",
        "files": records,
        "input": contract,
        "label_names": LABELS,
        "io": "uint8",
        "calibration_temperature": 1.0,
        "golden": Golden(
            images=names,
            decoded_sha256=tuple(sha256_bytes(decode(folder / n).tobytes()) for n in names),
            pixels="golden.npy",
            probs=tuple(map(tuple, expected_probs(pixels).tolist())),
            tolerance=1e-3,
        ),
        "test": Test(pixels="test.npy", indices=(8, 0, 3, 3, 5)),
        "timing": Timing(warmup_runs=2, min_runs=7, min_seconds=5.0, sustained_s=0.0),
        "threads": 2,
    }
    job = Job(**{**values, **changes})
    (folder / "job.json").write_text(job.text())
    return job, test


def run(core, folder):
    return compare(core, "job", folder)


def test_a_job_gives_a_document_that_python_accepts(core, tmp_path):
    job, test = write_job(tmp_path / "job")
    found = read_document(run(core, tmp_path / "job"), "java", job)
    assert found.failure is None
    np.testing.assert_allclose(np.array(found.probs), expected_probs(test[[8, 0, 3, 3, 5]]), atol=1e-6)
    assert found.golden.images == 2
    assert found.golden.largest_change < 1e-6
    times = found.times
    assert len(times.inference_ms) == 7
    assert times.warmup_runs == 2
    assert len(times.decode_ms) >= 5
    assert len(times.preprocess_ms) >= 5
    assert times.sustained == ()
    assert (times.pss_before_mib, times.pss_after_mib) == (12.5, 12.5)
    assert (times.after.battery_percent, times.after.charging, times.after.throttling) == (80.0, True, "none")
    assert 0 < times.bare_rss_mib <= times.peak_rss_mib
    assert (found.runtime.name, found.runtime.delegate, found.runtime.threads_asked) == ("Fake", "built-in", 2)
    assert found.runtime.threads_ran is None or found.runtime.threads_ran >= 1
    assert found.system.model == 'Fake ä"\\'


def test_images_are_answered_from_their_files_too(core, tmp_path):
    """Alike; decoded otherwise; decoded alike but another tensor; no image at all."""
    rng = np.random.default_rng(7)
    folder, names = tmp_path / "job", [f"files/{i}.png" for i in range(4)]
    job, test = write_job(folder)
    (folder / "files").mkdir()
    images = [rng.integers(0, 256, (26, 31, 3), np.uint8) for _ in names]
    for name, image in zip(names, images, strict=True):
        Image.fromarray(image).save(folder / name)
    (folder / names[3]).write_bytes(b"no image")
    tensors = np.stack([to_pixels(Image.fromarray(image), job.input) for image in images])
    test[:4] = tensors
    test[2, 0, 0, 0] ^= 1
    np.save(folder / "test.npy", test)
    hashes = [sha256_bytes(image.tobytes()) for image in images]
    hashes[1] = "0" * 64
    sent = TestFiles(images=tuple(names), rows=(0, 1, 2, 3), decoded_sha256=tuple(hashes))
    paths = {name: folder / name for name in (*names, "test.npy")}
    records = {n: FileRecord(sha256=sha256_file(p), size_bytes=p.stat().st_size) for n, p in paths.items()}
    job = job.model_copy(
        update={
            "files": {**job.files, **records},
            "test": Test(pixels="test.npy", indices=(0, 1, 2, 3), files=sent),
        }
    )
    (folder / "job.json").write_text(job.text())
    found = read_document(run(core, folder), "java", job).from_files
    assert [(f.decoded_equal, f.pixels_equal) for f in found] == [
        (True, True),
        (False, True),
        (True, False),
        (False, False),
    ]
    np.testing.assert_allclose([f.probs for f in found[:3]], expected_probs(tensors[:3]), atol=1e-6)
    assert found[3].probs == ()
    assert found[3].problem.startswith("files/3.png: ")
    bad = sent.model_copy(update={"rows": (0, 1, 2, 9)})
    job = job.model_copy(update={"test": job.test.model_copy(update={"files": bad})})
    (folder / "job.json").write_text(job.text())
    assert failure(core, folder, job) == ("probabilities", "test.npy has no image 9 of the model's size")


def test_sustained_windows(core, tmp_path):
    timing = Timing(warmup_runs=0, min_runs=5, min_seconds=0.5, sustained_s=1.5)
    job, _ = write_job(tmp_path / "job", test=None, timing=timing)
    found = read_document(run(core, tmp_path / "job"), "java", job)
    assert found.probs is None
    windows = found.times.sustained
    starts = [w.start_s for w in windows]
    assert starts == sorted(starts)
    assert all(w.images_per_s <= w.runs for w in windows)  # each takes a second at least


def test_a_cameras_rate(core, tmp_path):
    timing = Timing(warmup_runs=0, min_runs=5, min_seconds=0.5, fps=(20.0, 200.0), paced_s=0.4)
    job, _ = write_job(tmp_path / "job", test=None, timing=timing)
    paced = read_document(run(core, tmp_path / "job"), "java", job).times.paced
    assert [run.fps for run in paced] == [20.0, 200.0]
    assert len(paced[0].runs_ms) + paced[0].dropped >= 8
    assert len(paced[1].runs_ms) + paced[1].dropped >= 80


def test_what_is_emulated_is_not_timed(core, tmp_path):
    write_job(tmp_path / "job", provenance="emulated", timing=None)
    found = json.loads(run(core, tmp_path / "job"))
    assert "times" not in found
    assert "failure" not in found
    assert len(found["probs"]) == 5


def failure(core, folder, job=None):
    found = read_document(run(core, folder), "java", job).failure
    assert "Exception" not in found.reason
    return found.stage, found.reason


def change(folder, **values):
    job = json.loads((folder / "job.json").read_text())
    (folder / "job.json").write_text(json.dumps(job | values))


def golden_of(folder, **values):
    return json.loads((folder / "job.json").read_text())["golden"] | values


@pytest.mark.parametrize("name", ["model.tflite", "golden.npy", "golden/1.png"])
def test_a_changed_file_fails_first(core, tmp_path, name):
    job, _ = write_job(tmp_path)
    with (tmp_path / name).open("ab") as file:
        file.write(b"!")
    assert failure(core, tmp_path, job) == ("files", f"{name} is not the file that was sent")


def test_each_golden_stage_is_named(core, tmp_path):
    job, _ = write_job(tmp_path)
    original = (tmp_path / "job.json").read_text()
    change(tmp_path, golden=golden_of(tmp_path, decoded_sha256=["0" * 64] * 2))
    assert failure(core, tmp_path, job) == ("decode", "golden/0.png is decoded to other pixels")
    (tmp_path / "job.json").write_text(original)
    change(tmp_path, input=json.loads(original)["input"] | {"kernel": "bicubic"})
    stage, reason = failure(core, tmp_path, job)
    assert stage == "preprocess"
    assert "% of the input tensor differs" in reason
    (tmp_path / "job.json").write_text(original)
    change(tmp_path, golden=golden_of(tmp_path, probs=[[1.0, 0.0, 0.0], [0.2, 0.3, 0.5]]))
    stage, reason = failure(core, tmp_path, job)
    assert stage == "probabilities"
    assert reason.startswith("golden/0.png: a probability differs by 0.")
    assert reason.endswith("(tolerance 0.00100)")
    (tmp_path / "job.json").write_text(original)
    change(tmp_path, runtime="onnx")
    assert failure(core, tmp_path, job) == ("runtime", "this app runs TensorFlow Lite, not onnx")
    (tmp_path / "job.json").write_text(original)
    change(tmp_path, test={"pixels": "test.npy", "indices": [9]})
    assert failure(core, tmp_path, job) == ("probabilities", "test.npy has no image 9 of the model's size")
    (tmp_path / "job.json").write_text(original)
    change(tmp_path, io="int8")
    stage, reason = failure(core, tmp_path, job)  # the probabilities of steps of 1/8 are others
    assert stage == "probabilities"


FILES_WITHOUT_ROWS = {"images": ["golden/0.png"], "rows": [], "decoded_sha256": ["0" * 64]}
HOSTILE = {
    "another version": ({"schema": "edgekd.job/2"}, "expected a job of schema edgekd.job/1, found edgekd.job/2"),
    "no threads": ({"threads": 0}, "job.threads: expected a whole number from 1 to 1024, found 0"),
    "huge threads": ({"threads": 10**30}, "a number that is too large"),
    "a temperature of 0": ({"calibration_temperature": 0}, "job.calibration_temperature: expected a number"),
    "no files": ({"files": {}}, "job.files: expected the model's file first, found none"),
    "files without rows": (
        {"test": {"pixels": "test.npy", "indices": [], "files": FILES_WITHOUT_ROWS}},
        "job.test.files: expected a row for each of 1 images",
    ),
    "a file without hash": ({"files": {"m": {"sha256": "0" * 64, "size_bytes": 1}}}, "expected the hash of golden.npy"),
    "a size of 10^6": ({"input": {"size": 10**6}}, "job.input.size: expected a whole number from 1 to 1024"),
    "text for a list": ({"label_names": "abc"}, "job.label_names: expected a list of 1 to 100000, found abc"),
    "a list for text": ({"runtime": ["tflite"]}, "job.runtime: expected text"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_jobs_end_in_a_document(core, tmp_path, case):
    job, _ = write_job(tmp_path)
    values, message = HOSTILE[case]
    change(tmp_path, **values)
    stage, reason = failure(core, tmp_path, job if case != "huge threads" else None)
    assert stage == "files"
    assert message in reason


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "nul",
        '{"schema": NaN}',
        "[" * 100_000,
        '{"a": 1, "a": 2}',
        '"' + "x" * 50_000 + '"',
        '{"schema": 1e999}',
    ],
)
def test_what_is_no_job_ends_in_a_document(core, tmp_path, text):
    (tmp_path / "job.json").write_text(text)
    assert failure(core, tmp_path)[0] == "files"


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "a/../../secret", "link", "a\\..\\b", "golden", ""])
def test_names_cannot_leave_the_folder(core, tmp_path, name):
    folder = tmp_path / "job"
    job, _ = write_job(folder)
    (tmp_path / "secret").write_text("x")
    (folder / "link").symlink_to(tmp_path / "secret")
    files = json.loads((folder / "job.json").read_text())["files"]
    change(folder, files=files | {name: {"sha256": sha256_bytes(b"x"), "size_bytes": 1}})
    found = read_document(run(core, folder), "java", job).failure
    assert found.stage == "files"
    assert any(word in found.reason for word in ("no name of a file", "leads out of", "is missing"))


def test_a_document_of_another_job_is_refused(core, tmp_path):
    job, _ = write_job(tmp_path)
    with pytest.raises(EdgekdError, match="an answer to job"):
        read_document(run(core, tmp_path), "java", job.model_copy(update={"key": "k2"}))

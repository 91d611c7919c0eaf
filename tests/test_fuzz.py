"""Files that were damaged or made up: each ends in success or in one EdgekdError, without a hang and with nothing left."""

import contextlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from edgekd import bundle as bundles
from edgekd import evaluate, export, networks, recipe
from edgekd.bundle import Bundle, Manifest, NetworkRecord, QuantizationRecord
from edgekd.data.dataset import listing_hash
from edgekd.errors import EdgekdError
from edgekd.files import write_atomic
from edgekd.measures.calibration import softmax
from edgekd.measures.evaluation import evaluate as measured
from edgekd.networks.prediction import predict
from edgekd.preprocess import InputContract
from edgekd.quantization.graph import PIXELS, Conv, DepthwiseConv, FullyConnected, Graph, Grid, Input, Mean
from edgekd.runtimes import FileFacts, find
from edgekd.runtimes.isolated import Isolated
from edgekd.training import distributed, run

SIZE, CLASSES = 16, 4
LIMIT_S = 60.0  # for one request, on a machine with other work
FILES = {"tflite-int8": 90, "tflite": 50, "onnx-int8": 80, "onnx": 40, "openvino-int8": 70, "openvino": 40}  # mutations
GRAPHS, MANIFESTS = 120, 120
EXPORTS, EVALUATIONS = 24, 12
HUGE = (0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0x00FFFFFF)
STRANGE = (None, True, -1, 0, 1e308, 2**70, float("nan"), "", "x" * 5000, "../../x", "\ud800", [], {}, ["x"], {"x": 1})


def truncated(content, rng):
    return content[: rng.integers(len(content))]


def flipped(content, rng):
    changed = bytearray(content)
    for place in rng.integers(len(content), size=rng.integers(1, 9)):
        changed[place] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def overwritten(content, rng):
    length = int(rng.integers(1, 65))
    place = int(rng.integers(max(len(content) - length, 1)))
    return content[:place] + rng.bytes(length) + content[place + length :]


def made_up(content, rng):
    return content[:8] + rng.bytes(int(rng.integers(1, 2000)))


def inflated(content, rng):
    """One number, of text or of four bytes, becomes huge."""
    if content[:1] in (b"<", b"{"):
        found = list(re.finditer(rb"\d+", content))
        number = found[rng.integers(len(found))]
        return content[: number.start()] + b"9" * int(rng.integers(5, 20)) + content[number.end() :]
    place = 4 * int(rng.integers(len(content) // 4))
    return content[:place] + int(rng.choice(HUGE)).to_bytes(4, "little") + content[place + 4 :]


MUTATIONS = (truncated, flipped, overwritten, made_up, inflated)


def mutations(content, count, seed):
    """`count` changed copies, every kind in turn."""
    rng = np.random.default_rng([seed, count])
    for index in range(count):
        yield MUTATIONS[index % len(MUTATIONS)](content, rng)


def strange_values(values, rng):
    """A copy in which one value, anywhere, is another one."""
    values = json.loads(json.dumps(values))
    place, key = values, None
    while isinstance(place, dict | list) and place and (key is None or rng.random() < 0.8):
        key = list(place)[rng.integers(len(place))] if isinstance(place, dict) else int(rng.integers(len(place)))
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner:
            break
        holder, place = place, inner
    else:
        place = holder
    place[key] = STRANGE[rng.integers(len(STRANGE))]
    return values


@pytest.fixture(scope="module")
def graphs():
    """conv, depthwise conv, mean and fully connected, in float and on the int8 grid."""
    rng = np.random.default_rng(5)
    nodes = (
        Input(name="image", size=SIZE),
        Conv(name="stem", inputs=("image",), stride=(2, 2), padding=(1, 1, 1, 1), activation="relu6"),
        DepthwiseConv(name="depthwise", inputs=("stem",), padding=(1, 1, 1, 1)),
        Mean(name="pool", inputs=("depthwise",)),
        FullyConnected(name="head", inputs=("pool",)),
    )
    shapes = {"stem": (8, 3, 3, 3), "depthwise": (3, 3, 8), "head": (CLASSES, 8)}
    real, codes = {}, {}
    for name, shape in shapes.items():
        outputs = shape[-1] if name == "depthwise" else shape[0]
        codes[f"{name}.weight"] = rng.integers(-127, 128, shape).astype(np.int8)
        codes[f"{name}.bias"] = rng.integers(-99, 100, outputs).astype(np.int32)
        codes[f"{name}.weight_scale"] = np.full(outputs, 1e-4 if name == "stem" else 0.01, np.float32)
        real[f"{name}.weight"] = rng.normal(0, 0.05, shape).astype(np.float32)
        real[f"{name}.bias"] = np.zeros(outputs, np.float32)
    grids = {"image": PIXELS, "stem": Grid(scale=6 / 255, zero_point=-128)}
    quantized = [n.model_copy(update={"grid": grids.get(n.name, Grid(scale=0.05, zero_point=0))}) for n in nodes]
    return Graph(nodes, real), Graph(tuple(quantized), codes)


@pytest.fixture(scope="module")
def written(graphs, tmp_path_factory):
    """Files of every format, by format."""
    folder, found = tmp_path_factory.mktemp("fuzz"), {}
    facts = FileFacts("tiny", "for tests", tuple("abcd"), InputContract(size=SIZE), 1.5)
    for name in FILES:
        format, module = find(name)
        path = folder / f"{name}{format.suffixes[0]}"
        module.write(graphs[format.is_int8], format, facts, path)
        found[name] = [path.with_suffix(suffix) for suffix in format.suffixes]
    return found


@pytest.fixture(scope="module")
def folder(graphs, tmp_path_factory):
    """A bundle whose student learnt nothing, complete enough for export and evaluate."""
    folder = tmp_path_factory.mktemp("fuzz") / "bundle"
    settings = ["data.options={train=32, val=0, test=8, size=32}", "data.validation_fraction=0.25", "input.size=16"]
    wanted = recipe.load(None, [*settings, "student.width=0.35", f"cache={folder.parent / 'cache'}"])
    prepared = run.prepare(wanted, folder, distributed.start(), _quiet())
    torch.manual_seed(0)
    network = networks.build(wanted.student, CLASSES, SIZE).eval()
    rows = prepared.rows("val")
    logits = predict(network, prepared.pixels.array, rows, torch.device("cpu"))
    pixels = torch.from_numpy(np.array(prepared.pixels.array[rows]))
    labels = torch.from_numpy(prepared.labels[rows])
    tensors = {
        "weights": network.body.state_dict(),
        "evaluation/val": {"logits": torch.from_numpy(logits), "labels": labels},
        "golden/vectors": {"logits": torch.from_numpy(logits[:2]), "pixels": pixels[:2].contiguous()},
    }
    for name, values in tensors.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        safetensors.torch.save_file(values, folder / f"{name}.safetensors")
    for side in ("val", "test"):
        measured(softmax(logits), labels.numpy(), prepared.label_names).save(folder / f"evaluation/{side}.json")
    write_atomic(folder / "README.md", "# tiny")
    graphs[1].save(folder / "int8/qat.safetensors")
    listing = listing_hash([prepared.pixels.dataset.samples[i] for i in rows])
    manifest = Manifest(
        role="student",
        name="tiny",
        label_names=prepared.label_names,
        input=InputContract(size=SIZE, mean=network.mean, std=network.std),
        network=NetworkRecord(network="mobilenetv2", width=0.35, parameters=1, macs=1),
        calibration_temperature={"torch": 1.0},
        quantization=QuantizationRecord(
            method="qat", graph="int8/qat.safetensors", representative_sha256=listing, representative_images=8
        ),
        split_hashes=prepared.split_hashes(),
        recipe=wanted.model_dump(mode="json"),
    )
    bundles.write(folder, manifest, [str(name) for name in everything_below(folder)])
    return folder


def _quiet():
    from rich.console import Console

    return Console(quiet=True)


@pytest.fixture(scope="module")
def child():
    with Isolated(LIMIT_S) as child:
        yield child


@pytest.fixture
def copy(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(folder, tmp_path / "bundle")


def one_error(action):
    """What `action` gives, or the one error that it may raise."""
    try:
        return action()
    except EdgekdError as e:
        found = e
    assert str(found).strip()
    assert "no answer within" not in str(found)  # a hang
    return found


def everything_below(folder):
    return sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("name", list(FILES))
def test_artefacts(name, written, child, tmp_path):
    pixels = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    whole = [path.read_bytes() for path in written[name]]
    targets = [tmp_path / path.name for path in written[name]]
    refused = 0
    for changed, path in enumerate(written[name]):
        for content in mutations(whole[changed], FILES[name] // len(whole), seed=changed):
            for target, original in zip(targets, whole, strict=True):
                target.write_bytes(original)
            targets[changed].write_bytes(content)
            found = one_error(lambda: child.load(name, targets[0]).probs(pixels))
            refused += isinstance(found, EdgekdError)
        assert path.read_bytes() == whole[changed]
    assert refused > FILES[name] // 4
    assert sorted(tmp_path.iterdir()) == sorted(targets)
    assert child.load(name, written[name][0]).probs(pixels).shape == (1, CLASSES)


def test_graphs(graphs, tmp_path):
    path = tmp_path / "graph.safetensors"
    graphs[1].save(path)
    format, module = find("tflite-int8")
    facts = FileFacts("tiny", "for tests", tuple("abcd"), InputContract(size=SIZE))
    refused = 0
    for content in mutations(path.read_bytes(), GRAPHS, seed=1):
        path.write_bytes(content)
        graph = one_error(lambda: Graph.load(path))
        if isinstance(graph, Graph):  # then it can be written, too
            one_error(lambda graph=graph: module.write(graph, format, facts, tmp_path / "x.tflite"))
        refused += isinstance(graph, EdgekdError)
    assert refused > GRAPHS // 4
    assert set(everything_below(tmp_path)) <= {Path("graph.safetensors"), Path("x.tflite")}


def test_manifests(copy):
    path = copy / "manifest.json"
    text, rng = path.read_bytes(), np.random.default_rng(2)
    contents = list(mutations(text, MANIFESTS // 2, seed=2))
    contents += [json.dumps(strange_values(json.loads(text), rng)).encode() for _ in range(MANIFESTS // 2)]
    refused = 0
    for content in contents:
        path.write_bytes(content)
        one_error(lambda: bundles.read_manifest(copy))
        refused += isinstance(one_error(lambda: Bundle.open(copy)), EdgekdError)
    assert refused > MANIFESTS // 2


@pytest.mark.parametrize(("command", "count"), [(export.main, EXPORTS), (evaluate.main, EVALUATIONS)])
def test_commands_on_strange_manifests(command, count, copy, tmp_path, monkeypatch):
    text, rng = (copy / "manifest.json").read_text(), np.random.default_rng(count)
    before = everything_below(copy)
    for _ in range(count):
        values = strange_values(json.loads(text), rng)
        (copy / "manifest.json").write_text(json.dumps(values))
        out = ["--out", "out"] if command is evaluate.main else []
        found = one_error(lambda out=out: command([str(copy), *out]))
        assert isinstance(found, EdgekdError) or found in (None, 0, export.FAILED, export.REJECTED)
        left = [p for p in everything_below(copy) if p not in before and p.parts[0] != "artefacts"]
        assert not left
        assert not list(tmp_path.rglob("*.tmp"))
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(copy / "artefacts")
    (copy / "manifest.json").write_text(text)


def hash_again(folder):
    """Make the manifest's hashes right, so that a file gets past them."""
    manifest = bundles.read_manifest(folder)
    bundles.write(folder, manifest, manifest.files)


@pytest.mark.parametrize(
    ("name", "count"),
    [("int8/qat.safetensors", 15), ("golden/vectors.safetensors", 5), ("evaluation/val.safetensors", 10)],
)
def test_export_of_strange_tensors(name, count, copy, tmp_path):
    original, manifest = (copy / name).read_bytes(), (copy / "manifest.json").read_text()
    for content in mutations(original, count, seed=3):
        (copy / name).write_bytes(content)
        (copy / "manifest.json").write_text(manifest)
        hash_again(copy)
        found = one_error(lambda: export.main([str(copy)]))
        assert isinstance(found, EdgekdError) or found in (0, export.FAILED, export.REJECTED)
        assert not list(tmp_path.rglob("*.tmp"))


def test_artefacts_in_a_bundle_are_evaluated_while_they_are_whole(copy, tmp_path):
    assert export.main([str(copy), "--max-drop-pp", "100", "--max-class-drop-pp", "100"]) == 0
    path, arguments = copy / "artefacts/tflite-int8.tflite", [str(copy), "--format", "tflite-int8", "--out"]
    evaluate.main([*arguments, "whole"])
    assert (tmp_path / "whole/evaluation.json").is_file()
    refused = 0
    for content in mutations(path.read_bytes(), 10, seed=4):
        path.write_bytes(content)
        hash_again(copy)
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        refused += isinstance(one_error(lambda: evaluate.main([*arguments, "out"])), EdgekdError)
        assert not list(tmp_path.rglob("*.tmp"))
    assert refused > 3

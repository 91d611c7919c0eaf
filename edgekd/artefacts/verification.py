"""Nothing ships unverified: structure, parity with the reference, drift on validation, temperature.

Every check runs the file itself, in its runtime, in a process of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from edgekd.artefacts.validation import Validation
from edgekd.measures.calibration import ece, nll, softmax
from edgekd.measures.drift import Drift, drift
from edgekd.quantization import integers
from edgekd.quantization.graph import Array, Graph
from edgekd.runtimes import Format
from edgekd.runtimes.isolated import Isolated
from edgekd.section import Section

SMALLEST = 1e-30  # probabilities below it are taken for it, before a logarithm
PARITY_IMAGES = 256  # of the validation split
OPERATOR_IMAGES = 2  # whose every intermediate code is recomputed
# A file may give another answer than the reference only in a tie: where the reference's answer leads the file's by no more than
# this. Int8: one step of the output's grid for each of the two logits, in steps; float: rounding, in probability.
LARGEST_LOST_LEAD = {"static_wi8_ai8": 2.0, "fp32": 1e-4, "fp16": 0.02}
LARGEST_CHANGE = {"fp32": 1e-3, "fp16": 0.05}  # of a probability, float files against the reference
LARGEST_MEAN_STEPS = 1.0  # mean |Δ logit| of int8 files, in steps of the output's grid
CODES_DIFFERING = 1e-4  # share of an operator's codes that may differ from exact integers, by one


Finite = Annotated[float, Field(allow_inf_nan=False)]


class Limits(Section):
    """The drift gate, in percentage points on validation against the float student."""

    max_drop_pp: Finite = 1.0
    max_class_drop_pp: Finite = 3.0


class Parity(Section):
    """A file against the reference. `steps`: |Δ logit| in steps of the int8 output's grid; 0 for float files.

    `lost_lead`: by how much the reference's answer leads the file's, in the reference and on the worst image; in steps of
    the int8 output's grid, in probability for float files; 0 where all answers agree.
    """

    images: int
    top1_agreement: float
    lost_lead: float
    largest_probability_change: float
    mean_steps: float
    largest_steps: float


class Operator(Section):
    """One operator's int8 codes against exact integer arithmetic on the operator's own inputs."""

    node: str
    differing: float  # share of the codes
    largest: int


class Calibration(Section):
    """What the temperature does on validation, where it was fitted: `ece` and `nll` with it are in-sample."""

    temperature: float
    ece_before: float
    ece: float
    nll_before: float
    nll: float


@dataclass(frozen=True)
class ReferenceLogits:
    """The logits [N, K] that a file has to reproduce: on the golden images and on the first of the validation split.

    `validation` None: without images, only what was verified before is made again.
    """

    golden: Array
    validation: Array | None


def logits_of(probs: Array, temperature: float) -> Array:
    """Logits [N, K] with mean 0 that give these probabilities at this temperature."""
    found = temperature * np.log(np.maximum(probs.astype(np.float64), SMALLEST))
    return found - found.mean(1, keepdims=True)


def parity(probs: Array, reference: Array, temperature: float, step: float | None) -> Parity:
    """Probabilities [N, K] of a file against reference logits [N, K]; `step` is the scale of int8 logits."""
    expected = softmax(reference, temperature)
    change = np.abs(logits_of(probs, temperature) - logits_of(expected, temperature))  # both blind below SMALLEST
    steps = change / step if step else np.zeros_like(change)
    answers, expected_answers, rows = probs.argmax(1), reference.argmax(1), np.arange(len(probs))
    # float32 logits are whole steps but for their own rounding
    scores = np.round(reference.astype(np.float64) / step, 3) if step else expected
    return Parity(
        images=len(probs),
        top1_agreement=float((answers == expected_answers).mean()),
        lost_lead=float((scores[rows, expected_answers] - scores[rows, answers]).max()),
        largest_probability_change=float(np.abs(probs - expected).max()),
        mean_steps=float(steps.mean()),
        largest_steps=float(steps.max()),
    )


def parity_problems(found: Parity, format: Format) -> list[str]:
    """What of a parity is too far off, in words."""
    problems = []
    if not found.lost_lead <= LARGEST_LOST_LEAD[format.scheme]:
        lead = f"{found.lost_lead:.0f} steps" if format.is_int8 else f"{found.lost_lead:.2g}"
        problems.append(f"another answer where the reference leads by {lead}, which is no tie")
    if format.is_int8 and not found.mean_steps <= LARGEST_MEAN_STEPS:  # so written, NaN is a problem too
        problems.append(f"logits are {found.mean_steps:.2f} steps from the reference's on average")
    limit = LARGEST_CHANGE.get(format.scheme)
    if limit is not None and not found.largest_probability_change <= limit:
        problems.append(f"a probability differs by {found.largest_probability_change:.2g} from the reference's")
    return problems


def operators(graph: Graph, format: Format, path: Path, pixels: Array) -> list[Operator]:
    """Every operator of a file recomputed from the codes that the file itself gave it."""
    with Isolated() as child:
        codes = child.load(format.name, path, keep=True).codes(pixels[:OPERATOR_IMAGES])
    codes[graph.input.name] = integers.run_input(pixels[:OPERATOR_IMAGES])
    found = []
    for node in graph.nodes[1:]:
        if any(name not in codes for name in (node.name, *node.inputs)):
            continue  # the runtime fused it away
        exact = integers.apply(graph, node, [codes[name] for name in node.inputs])
        difference = np.abs(exact.astype(np.int16) - codes[node.name].astype(np.int16))
        found.append(Operator(node=node.name, differing=float((difference > 0).mean()), largest=int(difference.max())))
    return found


def operator_problems(found: list[Operator], sizes: dict[str, int]) -> list[str]:
    """Operators that do not compute what the int8 specification says, in words; `sizes`: codes compared of each."""
    total = sum(sizes[o.node] for o in found)
    differing = sum(round(o.differing * sizes[o.node]) for o in found)
    problems = [f"{o.node}: codes differ by up to {o.largest}" for o in found if o.largest > 1]
    if total and differing > max(CODES_DIFFERING * total, 1):
        problems.append(f"{differing} of {total} codes differ from exact integer arithmetic")
    return problems


def recomputed(graph: Graph, format: Format, path: Path, pixels: Array) -> tuple[dict[str, int], list[str]]:
    """All operators of a file that keeps its tensors: counts of codes, and what is wrong with them."""
    found = operators(graph, format, path, pixels)
    images = min(OPERATOR_IMAGES, len(pixels))
    sizes = {o.node: images * int(np.prod(graph.shapes[o.node])) for o in found}
    differing = sum(round(o.differing * sizes[o.node]) for o in found)
    summary = {"operators": len(found), "codes": sum(sizes.values()), "differing": differing}
    return summary | {"largest": max((o.largest for o in found), default=0)}, operator_problems(found, sizes)


def gate(probs: Array, validation: Validation, float_probs: Array, limits: Limits) -> tuple[Drift, list[str]]:
    """The drift from the float student to the file on validation, and what of it is over the limits."""
    found = drift(float_probs, probs, validation.labels, validation.groups)
    problems = []
    if -found.accuracy_change_pp > limits.max_drop_pp:
        problems.append(f"accuracy falls by {-found.accuracy_change_pp:.2f} pp (limit {limits.max_drop_pp} pp)")
    for index, change in enumerate(found.recall_change_pp):
        if change is not None and -change > limits.max_class_drop_pp:
            limit = f"limit {limits.max_class_drop_pp} pp"
            problems.append(f"recall of class {index} falls by {-change:.2f} pp ({limit})")
    return found, problems


def calibration(logits: Array, labels: Array, temperature: float) -> Calibration:
    """ECE and NLL of logits [N, K] before and after a temperature."""
    before, after = softmax(logits), softmax(logits, temperature)
    return Calibration(
        temperature=temperature,
        ece_before=ece(before, labels),
        ece=ece(after, labels),
        nll_before=nll(before, labels),
        nll=nll(after, labels),
    )

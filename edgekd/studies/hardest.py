"""The patients that most wrong answers are of: each is hard, or has a wrong label. Someone has to look.

Out of fold no run was taught the label that its answer is held against, so labels that all answers speak against are worth a
second look (Northcutt et al., Confident learning, JAIR 2021, who rank images by the probability of the given label).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgekd.measures.intervals import members
from edgekd.studies.result import Result


@dataclass(frozen=True)
class Hard:
    """The images of one label in one group; of several variants and seeds an image has several answers."""

    example: str  # an image of it, by name
    images: int
    label: int
    called: int  # the other class that is answered most, or has the highest mean probability where two are equal
    answers: int
    wrong: int
    share: float  # of all wrong answers of the study, where an image counts once, however many runs answer it
    confidence: float  # mean calibrated probability of the label


def hardest(result: Result, most: int) -> list[Hard]:
    """Up to `most` groups (images, where no groups are known) with wrong answers, those with the most first.

    Of a study that lacks runs some images have more answers than others: what counts is how many images a run gets wrong.
    """
    labels, count = np.array([image.label for image in result.images]), len(result.label_names)
    units, of = np.unique(np.stack([members(result.groups, len(labels)), labels], 1), axis=0, return_inverse=True)
    of = of.reshape(-1)
    said, probs = np.zeros((len(units), count), int), np.zeros((len(units), count))
    for run in result.runs:
        if run.images:
            rows = of[list(run.images)]
            np.add.at(said, (rows, run.probs.argmax(1)), 1)
            np.add.at(probs, rows, run.probs)
    label = units[:, 1]
    answers, right = said.sum(1), said[np.arange(len(units)), label]
    wrong = answers - right
    confidence = probs[np.arange(len(units)), label] / np.maximum(answers, 1)
    images = np.bincount(of)
    lost = images * wrong / np.maximum(answers, 1)
    order = np.lexsort((confidence, -lost))
    return [
        Hard(
            example=result.images[int((of == i).argmax())].name,
            images=int(images[i]),
            label=int(label[i]),
            called=max((k for k in range(count) if k != label[i]), key=lambda k: (said[i, k], probs[i, k])),
            answers=int(answers[i]),
            wrong=int(wrong[i]),
            share=float(lost[i] / lost.sum()),
            confidence=float(confidence[i]),
        )
        for i in order[:most].tolist()
        if wrong[i]
    ]

"""Float, post-training quantization and quantization-aware training side by side on the screen."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE
from rich.console import Console

from edgekd.reports.screen import Table

WORDS = {"float": "float", "ptq": "post-training", "qat": "quantization-aware"}


def show(document: dict[str, Any], console: Console) -> None:
    """The table on screen, with the verdict under it."""
    images = document["networks"]["float"]["images"]
    by_group = document["qat_against_ptq"]["groups"] is not None
    tests = {"p by\ngroup": "p"} if by_group else {}
    tests |= {"McNemar\np": "mcnemar_p"}
    table = Table("int8", "accuracy", "flips", *tests, "ECE (noise)", box=SIMPLE, title_justify="left", pad_edge=False)
    table.title = f"in fake quantization, test split, {images} images"
    for name, scores in document["networks"].items():
        low, high = (100 * v for v in scores["accuracy_interval"])
        moved = document["drift"].get(name)
        flips = "" if moved is None else str(len(moved["flips"]))
        p = ["" if moved is None else f"{moved[name]:.3f}" for name in tests.values()]
        method = f" ({document['ptq_method']})" if name == "ptq" else ""
        ece = f"{scores['ece']:.3f} ({scores['ece_noise_floor']:.3f})"
        table.add_row(WORDS[name] + method, f"{100 * scores['accuracy']:.2f} [{low:.2f}, {high:.2f}]", flips, *p, ece)
    console.print(table)
    console.print(document["verdict"], highlight=False, soft_wrap=True)

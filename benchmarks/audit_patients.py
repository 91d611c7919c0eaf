"""What an audit knows of patients: the same images with and without their ids, dealt by patient and slice by slice.

    python benchmarks/audit_patients.py MANIFEST...

A manifest is a CSV with file, label, split and group (patient); its folder names the set. Every image is read and compared
once; then the audit judges four cases: ids known or hidden, the manifest's split or one that deals single pictures at random
(copies of a picture together) with the same share in test. Over pairs of distinct pictures the estimate of groups is held
against the ids: how many of its pairs are of one patient, and how many of all pairs of one patient it holds.
Writes results/audit_patients.json and .md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.auditing import judging, listing, matching, reading
from edgekd.auditing.joining import components
from edgekd.auditing.listing import Entry
from edgekd.auditing.matching import Matches
from edgekd.data import sources
from edgekd.recipe import AuditRecipe, DataRecipe

RESULTS = Path(__file__).parent / "results"
SEED = 7


def random_splits(matches: Matches) -> list[str]:
    """One split per image: pictures at random to test, as many as there are now, copies together."""
    entries = matches.facts.entries
    pictures = components(len(entries), matches.copies())
    share = sum(e.split == "test" for e in entries) / len(entries)
    is_test = np.random.default_rng(SEED).random(pictures.max() + 1) < share
    return ["test" if is_test[picture] else "train" for picture in pictures]


def judged(found: listing.Listing, matches: Matches, change: Callable[[int, Entry], Entry]) -> dict[str, Any]:
    """The figures of the audit after `change(index, entry)` of every entry."""
    entries = tuple(change(i, entry) for i, entry in enumerate(matches.facts.entries))
    changed = Matches(replace(matches.facts, entries=entries), matches.exact, matches.compared, matches.settings)
    audit, _ = judging.judge(found, changed, "", "split.csv", {})
    straddling = {row.group for row in audit.straddling}
    test = [e for e in entries if e.split == "test"]
    return {
        "test_images": len(test),
        "test_images_copied_from_train": sum(leak.leaked for leak in audit.leaks if leak.split == "test"),
        "test_images_alike_to_train": len(
            {p.path for row in audit.related for p in (row.a, row.b) if p.split == "test"}
        ),
        "groups": audit.counts.groups,
        "groups_in_two_splits": len(straddling),
        "test_images_of_groups_in_train": sum(e.group in straddling for e in test),
        "pairs_of_copies_in_two_groups": audit.counts.two_groups,
        "estimated_groups": audit.clean.estimated_groups,
        "longest_chain": audit.clean.largest_estimated_group,
        "estimate_is_used": audit.clean.estimated_groups_used,
    }


def pairs_in(keys: Sequence[object]) -> int:
    """How many pairs of equal keys there are."""
    return sum(n * (n - 1) // 2 for n in Counter(keys).values())


def estimate(matches: Matches) -> dict[str, float]:
    """Alike pictures and estimated groups against the ids, as fractions of pairs of distinct pictures."""
    entries = matches.facts.entries
    _, first = np.unique(components(len(entries), matches.copies()), return_index=True)
    units = components(len(entries), matches.alike())
    unit, patient = units[first].tolist(), [entries[i].group for i in first]
    both = pairs_in(list(zip(unit, patient, strict=True)))
    distinct = set(first.tolist())
    alike = [(i, j) for i, j in matches.alike().tolist() if i in distinct and j in distinct]
    longest = Counter(unit).most_common(1)[0][0]
    return {
        "pictures": len(first),
        "alike_pairs": len(alike),
        "of_them_of_one_patient": sum(entries[i].group == entries[j].group for i, j in alike) / len(alike),
        "of_pairs_in_one_estimated_group": both / pairs_in(unit),
        "of_patients_pairs_found": both / pairs_in(patient),
        "patients_in_the_longest_chain": len({p for u, p in zip(unit, patient, strict=True) if u == longest}),
        "pictures_in_the_longest_chain": unit.count(longest),
    }


def measure(manifest: Path) -> dict[str, Any]:
    """All figures of one set."""
    dataset = sources.read(DataRecipe(source="csv", path=str(manifest)))
    found = listing.of_dataset(dataset, str(manifest.parent))
    started = time.perf_counter()
    matches = matching.match(reading.read(found), AuditRecipe())
    seconds = time.perf_counter() - started
    dealt = random_splits(matches)
    cases = {
        "as dealt, ids known": lambda i, e: e,
        "as dealt, ids hidden": lambda i, e: replace(e, group=None),
        "at random, ids known": lambda i, e: replace(e, split=dealt[i]),
        "at random, ids hidden": lambda i, e: replace(e, split=dealt[i], group=None),
    }
    return {
        "images": len(matches.facts.entries),
        "seconds": round(seconds, 1),
        "cases": {name: judged(found, matches, change) for name, change in cases.items()},
        "estimate": estimate(matches),
    }


def markdown(results: dict[str, Any]) -> str:
    """The table of cases, and a sentence on the estimate for each set."""
    lines = [
        "| set | split | ids | test images with a copy in train | groups in two splits | test images of patients in train |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in results["sets"].items():
        for case, row in found["cases"].items():
            split, ids = case.split(", ")
            known = f"{row['groups_in_two_splits']} of {row['groups']}" if row["groups"] else "unknown"
            of_train = (
                f"{row['test_images_of_groups_in_train']} of {row['test_images']}" if row["groups"] else "unknown"
            )
            copied = f"{row['test_images_copied_from_train']} of {row['test_images']}"
            lines.append(f"| {name} | {split} | {ids.removeprefix('ids ')} | {copied} | {known} | {of_train} |")
    lines.append("")
    for name, found in results["sets"].items():
        e = found["estimate"]
        lines.append(
            f"{name}: of {e['alike_pairs']} pairs of alike pictures {100 * e['of_them_of_one_patient']:.0f} % are of one "
            f"patient; of the pairs in one estimated group (chained) {100 * e['of_pairs_in_one_estimated_group']:.0f} %; of "
            f"all pairs of one patient {100 * e['of_patients_pairs_found']:.0f} % lie in one estimated group. The longest "
            f"chain holds {e['pictures_in_the_longest_chain']} of {e['pictures']} pictures, of "
            f"{e['patients_in_the_longest_chain']} patients."
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifests", nargs="+", type=Path, help="CSVs with file, label, split and group")
    args = parser.parse_args()
    results = {
        "settings": AuditRecipe().model_dump(),
        "seed": SEED,
        "processors": len(os.sched_getaffinity(0)),
        "sets": {path.resolve().parent.name: measure(path) for path in args.manifests},
    }
    (RESULTS / "audit_patients.json").write_text(json.dumps(results, indent=1) + "\n")
    text = markdown(results)
    (RESULTS / "audit_patients.md").write_text(text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()

"""What an audit can and cannot know about patients, in words for the page and the screen.

Copies are found in the pixels. Patients are not: another plane or level of the same head looks like another head, so only
ids can tell: a set that had been split by estimated groups, and was free of copies, turned out to test on patients of its
training almost throughout when their ids were found.
"""

from __future__ import annotations

from edgekd.auditing.report import Audit
from edgekd.data.dataset import SPLITS

UNSEEN = "copies can be found in the pixels, patients cannot (another slice or plane of a head looks like another head)"
KEPT = "The clean split keeps copies together and nothing else."


def shared_groups(audit: Audit) -> list[str]:
    """The headline for groups in two splits, and per split how many images are of them; nothing where there is none."""
    found = audit.straddling
    if not found:
        return []
    lines = [f"{len(found)} of {audit.counts.groups} groups lie in more than one split"]
    for place, split in enumerate(SPLITS):
        total = sum(c.images for c in audit.classes if c.split == split)
        earlier = SPLITS[:place]
        known = sum(row.splits.get(split, 0) for row in found if any(row.splits.get(other) for other in earlier))
        if known:
            others = " or ".join(other for other in earlier if any(c.split == other for c in audit.classes))
            lines.append(f"{known} of {total} {split} images are of groups that {others} holds too")
    return lines


def patients(audit: Audit) -> str:
    """Whether patients were checked, and what that is worth."""
    counts = audit.counts
    has_splits = any(c.split for c in audit.classes)
    verdict = f"{len(audit.straddling) or 'none'} of them in two splits" if has_splits else "there are no splits yet"
    if not counts.groups:
        ids = "Patients' ids in a column named group would be checked."
        return f"The set names no groups, so {_unknown(audit, has_splits)} {ids}"
    if counts.without_group:
        checked = f"Groups checked: {counts.groups}, {verdict}"
        some = f"{counts.without_group} of {counts.readable} images name no group"
        return f"{checked}. {some}; of those {_unknown(audit, has_splits)}"
    text = f"Groups were checked: every image names one, {counts.groups} in all, {verdict}"
    if counts.two_groups:
        text += f"; {counts.two_groups} pairs of copies lie in two groups, which may be one patient"
    return f"{text}. Whether an id stands for one patient, only its source knows."


def _unknown(audit: Audit, has_splits: bool) -> str:
    """What no audit can know, and how many held-out images are alike to others, most often of the same patient."""
    question = "whether a patient lies in two splits" if has_splits else "which images are of one patient"
    text = f"{question} is unknown: {UNSEEN}."
    present = {c.split for c in audit.classes}
    last = next((split for split in reversed(SPLITS) if split in present), "")
    alike = {p.path for pair in audit.related for p in (pair.a, pair.b) if p.split == last}
    if alike:
        text += (
            f" {len(alike)} {last} images are alike to images of other splits, no copies: a hint at shared patients."
        )
    return text


def estimates(audit: Audit) -> str:
    """Which estimated groups the clean split holds and why; "" where the source names all."""
    clean, settings, images = audit.clean, audit.settings, audit.counts.readable
    if not clean.estimated_groups:
        return ""
    found = f"{clean.estimated_groups} for the images that name none, the largest of {clean.largest_estimated_group}"
    if clean.estimated_groups_used:
        return f"Groups are estimated from chained similarity: {found} images. An estimated group is no patient."
    if settings.estimate_groups == "never":
        return f"No groups are estimated (audit.estimate_groups = never). {KEPT}"
    share = f"{100 * clean.largest_estimated_group / images:.1f} %"
    limit = f"{100 * settings.longest_chain:g} %"
    return (
        f"No groups are estimated: one chain of alike images would hold {clean.largest_estimated_group} of {images} ({share}; "
        f"at most {limit}, audit.longest_chain), which is taken for several patients. {KEPT} "
        "Best bring patients' ids in a column named group; --estimate-groups writes the chains nevertheless."
    )

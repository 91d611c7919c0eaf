"""Label names in pictures: in any script that an installed font has, wrapped, and never read as mathematics."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

FONT = "DejaVu Sans"  # comes with matplotlib


def lettering(names: Sequence[str], width: int = 14, lines: int = 3) -> tuple[list[str], list[str]]:
    """The names wrapped to `lines` lines of `width` characters, and the fonts to draw them with.

    A name with a character that no installed font has becomes `class 3` (its index), not a row of boxes.
    """
    families, missing = _fonts({c for name in names for c in name})
    drawable = [f"class {i}" if missing & set(name) else name for i, name in enumerate(names)]
    return [_wrap(name, width, lines) for name in drawable], families


def _wrap(name: str, width: int, lines: int) -> str:
    found = textwrap.wrap(name, width)
    if len(found) > lines:
        found = [*found[: lines - 1], found[lines - 1][: width - 1] + "…"]
    return "\n".join(found)


def _fonts(characters: set[str]) -> tuple[list[str], set[str]]:
    """The default font and those others that are needed for `characters`; the characters that none has."""
    from matplotlib.font_manager import findfont, fontManager

    families, left = [FONT], _without(findfont(FONT), {c for c in characters if not c.isspace()})
    for entry in sorted(fontManager.ttflist, key=lambda e: (e.name, e.fname)):
        # "Last Resort" has a box for every character: just what a reader cannot use.
        usable = entry.style == "normal" and entry.weight == 400 and not entry.name.startswith("Last Resort")
        still = _without(entry.fname, left) if left and usable and entry.name not in families else left
        if still < left:
            families.append(entry.name)
            left = still
    return families, left


def _without(file: str, characters: set[str]) -> set[str]:
    """Those of `characters` that the font in `file` does not have."""
    from matplotlib.font_manager import get_font

    font = get_font(file)
    return {c for c in characters if not font.get_char_index(ord(c))}

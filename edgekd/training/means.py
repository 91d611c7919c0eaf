"""Running means over the steps of an epoch."""

from __future__ import annotations

import math
from collections import Counter


class Means:
    """Running means of named values over steps; NaN, as an accuracy where no image has a label, does not count."""

    def __init__(self) -> None:
        self.row: dict[str, float] = {}
        self._counts: Counter[str] = Counter()

    def add(self, values: dict[str, float]) -> None:
        """Take in one step."""
        for name, value in values.items():
            mean = self.row.setdefault(name, 0.0)
            if not math.isnan(value):
                self._counts[name] += 1
                self.row[name] = mean + (value - mean) / self._counts[name]

"""Plots as numbers: where the bars of a picture lie, and what is written beside them. The template draws them.

A plot has a row for each bar. Across it everything is in percent of its width, so that it fits a phone and a desk
alike, while texts keep their size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hitl_webapp.durations import span
from hitl_webapp.stats.figures import Figures

COUNTED: Final = ("open", "answered", "rejected", "timed_out", "cancelled")
_MOST_TICKS: Final = 4
_MINUTE, _HOUR, _DAY = 60.0, 3_600.0, 86_400.0
_SECONDS: Final = (1.0, 10.0, _MINUTE, 10 * _MINUTE, _HOUR, 6 * _HOUR, _DAY, 7 * _DAY, 30 * _DAY, 365 * _DAY)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a bar.

    Args:
        kind: What it stands for.
        x, width: Where it lies, in percent of the plot's width.
    """

    kind: str
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a plot.

    Args:
        label: What it is about.
        value: What it shows, as a text.
        parts: Its parts.
    """

    label: str
    value: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """A line of the scale.

    Args:
        x: Where it lies, in percent of the plot's width.
        label: What is there.
    """

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot.

    Args:
        bars: Its bars, from above.
        ticks: The lines of its scale.
    """

    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]


def counts_plot(rows: Sequence[tuple[str, Figures]], kinds: Sequence[str] = COUNTED) -> Plot:
    """Return a plot of how many questions there are of each kind, one after another in a bar.

    Args:
        rows: The label and the figures of each bar.
        kinds: Which counts are shown.
    """
    counts = [[int(getattr(figures, kind)) for kind in kinds] for _, figures in rows]
    most = _round_number(max(map(sum, counts), default=0))
    bars = []
    for (label, _), numbers in zip(rows, counts, strict=True):
        parts, x = [], 0.0
        for kind, number in zip(kinds, numbers, strict=True):
            width = _percent(number, most)
            if number:
                parts.append(Part(kind, round(x, 2), round(width, 2)))
            x += width
        bars.append(Bar(label, f"{sum(numbers):,}", tuple(parts)))
    steps = min(most, _MOST_TICKS)
    numbers = [most * step // steps for step in range(steps + 1)]
    return Plot(tuple(bars), tuple(Tick(round(_percent(each, most), 2), f"{each:,}") for each in numbers))


def times_plot(rows: Sequence[tuple[str, Figures]]) -> Plot | None:
    """Return a plot of how long people took: from when half of the answers were there to when 90 % were.

    Its scale is a logarithm, as people take seconds or weeks. None: nobody answered.

    Args:
        rows: The label and the figures of each bar.
    """
    timed = [(label, each.after(50) or 0.0, each.after(90) or 0.0) for label, each in rows if each.times]
    if not timed:
        return None
    scale = _scale(min(half for _, half, _ in timed), max(most for _, _, most in timed))
    first, last = math.log(scale[0]), math.log(scale[-1])

    def place(seconds: float) -> float:
        within = min(max(seconds, scale[0]), scale[-1])
        return round(100 * (math.log(within) - first) / (last - first), 2)

    bars = [
        Bar(
            label,
            f"{_short(half)} – {_short(most)}",
            (Part("time", place(half), round(place(most) - place(half), 2)),),
        )
        for label, half, most in timed
    ]
    step = math.ceil((len(scale) - 1) / _MOST_TICKS)
    return Plot(tuple(bars), tuple(Tick(place(each), span(each)) for each in scale[::step]))


def _short(seconds: float) -> str:
    return " ".join(span(seconds).split()[:2])


def _percent(number: int, most: int) -> float:
    return 100 * number / most


def _round_number(number: int) -> int:
    """Return a number that is not smaller. If it is not small itself, it is divided into four round steps."""
    if number <= _MOST_TICKS:
        return max(number, 1)
    step = math.ceil(number / _MOST_TICKS)
    size: int = 10 ** (len(str(step)) - 1)
    return _MOST_TICKS * next(size * each for each in (1, 2, 5, 10) if size * each >= step)


def _scale(first: float, last: float) -> list[float]:
    """Return the round numbers of seconds around two times, at least two."""
    begin = max(0, sum(each <= first for each in _SECONDS) - 1)
    end = min(len(_SECONDS) - 1, sum(each < last for each in _SECONDS))
    return list(_SECONDS[begin : max(end, begin + 1) + 1]) if begin + 1 < len(_SECONDS) else list(_SECONDS[-2:])

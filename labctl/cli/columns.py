"""Text in columns, as Go's tabwriter lays it out for kubectl: cells padded by three spaces, at least six wide."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

PADDING = 3
MIN_WIDTH = 6


def lay_out(
    rows: Iterable[Sequence[str]],
    *,
    widths: list[int] | None = None,
    padding: int = PADDING,
    min_width: int = MIN_WIDTH,
) -> list[str]:
    """Lines with aligned columns; the last cell of a row is never padded.

    `widths` remembers column widths between calls, so that what a watch prints later lines up with what came before.
    Go counts characters, not what a terminal makes of them; so do we.
    """
    listed = list(rows)
    widths = [] if widths is None else widths
    for row in listed:
        for index, cell in enumerate(row[:-1]):
            if index == len(widths):
                widths.append(min_width)
            widths[index] = max(widths[index], len(cell) + padding)
    return ["".join(c.ljust(widths[i]) for i, c in enumerate(row[:-1])) + row[-1] for row in listed if row]


def blocks(text: str, *, padding: int = 2, min_width: int = 0) -> str:
    """Text with tabs as cell ends, aligned block by block: a column reaches as far as consecutive lines have it.

    This is the whole tabwriter, which `describe` needs: each line has as many columns as it has tabs.
    """
    lines = [line.split("\t") for line in text.split("\n")]
    _align(lines, 0, len(lines), 0, padding, min_width)
    return "\n".join("".join(line) for line in lines)


def _align(lines: list[list[str]], start: int, end: int, column: int, padding: int, min_width: int) -> None:
    index = start
    while index < end:
        if len(lines[index]) <= column + 1:
            index += 1
            continue
        stop = index
        while stop < end and len(lines[stop]) > column + 1:
            stop += 1
        width = max(min_width, *(len(line[column]) + padding for line in lines[index:stop]))
        _align(lines, index, stop, column + 1, padding, min_width)
        for line in lines[index:stop]:
            line[column] = line[column].ljust(width)
        index = stop

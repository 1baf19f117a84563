"""Figures as a table and as a picture made of characters. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from labctl.lab.synthetic.measure import Figures

_WIDTH, _HEIGHT = 78, 16
_ROW = "{:>9}  {:<9} {:>11} {:>12} {:>16}"
HEADER = _ROW.format("Services", "mode", "all rules", "one change", "new connection")


def row(figures: Figures) -> str:
    """One line of the table."""
    cells = (_ms(figures.all_rules_s), _ms(figures.one_change_s), f"{figures.new_connection_s * 1e6:.0f} µs")
    return _ROW.format(figures.services, figures.mode, *cells)


def _ms(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def pictures(measured: Sequence[Figures], *, colour: bool) -> str:
    """The curves of both modes over the number of Services; nothing to draw below two sizes."""
    if len({f.services for f in measured}) < 2:
        return ""
    drawn = [
        _picture("one change, milliseconds", measured, [f.one_change_s * 1e3 for f in measured]),
        _picture("new connection, microseconds", measured, [f.new_connection_s * 1e6 for f in measured]),
    ]
    text = "\n".join(drawn)
    if colour:
        return text
    import plotext

    plain: str = plotext.uncolorize(text)
    return plain


def _picture(title: str, measured: Sequence[Figures], values: Sequence[float]) -> str:
    import plotext as plt

    plt.clear_figure()
    plt.theme("clear")
    plt.plotsize(_WIDTH, _HEIGHT)
    for mode, marker in (("iptables", "braille"), ("nftables", "dot")):
        points = [(f.services, v) for f, v in zip(measured, values, strict=True) if f.mode == mode]
        if points:
            plt.plot([x for x, _ in points], [y for _, y in points], label=mode, marker=marker)
    sizes = sorted({f.services for f in measured})
    plt.xscale("log")
    plt.xticks(sizes, [str(size) for size in sizes])
    plt.ylim(0, max(values) * 1.1)
    plt.title(title)
    plt.xlabel("Services")
    built: str = plt.build()
    return built

"""Draws docs/dev/architecture.png: the packages of kmc and what they import, read from the code.

``python docs/dev/architecture.py`` redraws it. Imports between `kmc/errors.py`
and the others count as those of `common`, which describes them; `kmc/__init__.py` only forwards
names. Imports of `plotting` inside a method `plot` are the one exception to the direction of
imports and are not drawn.
"""

from __future__ import annotations

import ast
import textwrap
from graphlib import TopologicalSorter
from itertools import combinations, pairwise, permutations, product
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "kmc"
PICTURE = Path(__file__).with_suffix(".png")

_WITH_COMMON = ("errors",)
_SWEEPS = 3  # of the ordering within levels; more change nothing
_BOX, _GAP, _LEVEL = 2.6, 0.45, 1.4  # widths of a box and between boxes, height of a level
_LINE_GAP = 0.5  # width reserved for an arrow that passes a level
_MAX_TEXT = 140  # characters in a box
_FILL, _EDGE, _ARROW = "#eef3f8", "#44617b", "#7c8fa1"


# --- what the code says ---------------------------------------------------------------------------


def packages() -> dict[str, str]:
    """Packages directly below `kmc` with the first sentence of what they are for."""
    found = {}
    for path in sorted(PACKAGE.glob("*/__init__.py")):
        text = " ".join((ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").split())
        found[path.parent.name] = text.partition(".")[0].partition(";")[0]
    return found


def imports() -> dict[str, set[str]]:
    """Packages that each package imports."""
    known = packages()
    found: dict[str, set[str]] = {name: set() for name in known}
    for path in sorted(PACKAGE.rglob("*.py")):
        source = _package(path.relative_to(PACKAGE).with_suffix("").parts, known)
        if source is not None:
            for target in _imported(ast.parse(path.read_text("utf-8"))):
                package = _package(target, known)
                if package is not None and package != source:
                    found[source].add(package)
    return found


def _package(parts: tuple[str, ...], known: dict[str, str]) -> str | None:
    if parts and parts[0] in _WITH_COMMON:
        return "common"
    return parts[0] if parts and parts[0] in known else None


def _imported(node: ast.AST):
    """Modules of kmc that a tree imports, as their parts below `kmc`."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        names = [f"{node.module}.{alias.name}" for alias in node.names]
    else:
        names = []
    for name in names:
        top, *parts = name.split(".")
        if top == "kmc":
            yield tuple(parts)
    for child in ast.iter_child_nodes(node):
        yield from _imported(child)


def arrows(graph: dict[str, set[str]]) -> list[tuple[str, str]]:
    """The imports that no chain of others implies (transitive reduction), sorted."""
    reached: dict[str, set[str]] = {}
    for name in TopologicalSorter(graph).static_order():
        reached[name] = set().union(graph[name], *(reached[t] for t in graph[name]))
    return sorted(
        (name, target)
        for name, targets in graph.items()
        for target in targets
        if not any(target in reached[other] for other in targets - {target})
    )


def description() -> str:
    """Content of the picture in one line; stands in the PNG, where a test compares it."""
    return "; ".join(f"{name} > {target}" for name, target in arrows(imports()))


# --- layout ---------------------------------------------------------------------------------------


def layout(graph: dict[str, set[str]]):
    """Places of the packages, and of the arrows as lists of points.

    Levels are longest chains of imports; an arrow that passes levels gets a place in each, so that
    it meets no box; the order within a level is the one with the fewest crossings.
    """
    level: dict[str, int] = {}
    for name in TopologicalSorter(graph).static_order():
        level[name] = max((level[target] + 1 for target in graph[name]), default=0)
    rows: list[list] = [[] for _ in range(max(level.values()) + 1)]
    for name in graph:
        rows[level[name]].append(name)
    chains, links = {}, []
    for source, target in arrows(graph):
        between = [(source, target, k) for k in range(level[source] - 1, level[target], -1)]
        for place in between:
            rows[place[2]].append(place)
        chains[source, target] = [source, *between, target]
        links += zip(chains[source, target], chains[source, target][1:], strict=False)
    x: dict = {}
    for row in rows:
        _place(row, x)
    for _ in range(_SWEEPS):
        for pair in pairwise(rows):
            orders = product(*(permutations(row) for row in pair))
            best = min(orders, key=lambda order: _cost(order, x, links, rows))
            for row, order in zip(pair, best, strict=True):
                row[:] = order
                _place(row, x)
    height = {p: _LEVEL * (level[p] if isinstance(p, str) else p[2]) for p in x}
    points = {name: (x[name], height[name]) for name in graph}
    return points, [[(x[p], height[p]) for p in chain] for chain in chains.values()]


def _place(row, x: dict) -> dict:
    """Centre a row in this order: sets and returns the places across."""
    widths = [_BOX if isinstance(place, str) else _LINE_GAP for place in row]
    start = -(sum(widths) + _GAP * (len(row) - 1)) / 2
    for place, width in zip(row, widths, strict=True):
        x[place] = start + width / 2
        start += width + _GAP
    return x


def _cost(order, x: dict, links: list, rows: list) -> float:
    """Of two rows in this order: crossings of arrows count most, then their length across."""
    for row in order:
        _place(row, x)
    crossings = 0
    row_of = {place: i for i, row in enumerate(rows) for place in row}
    for (a, b), (c, d) in combinations(links, 2):
        if row_of[a] == row_of[c]:
            crossings += (x[a] - x[c]) * (x[b] - x[d]) < 0
    return 100 * crossings + sum(abs(x[a] - x[b]) for a, b in links)


# --- drawing --------------------------------------------------------------------------------------


def _short(text: str) -> str:
    """Text that fits into a box, cut behind an item of its list."""
    if len(text) <= _MAX_TEXT:
        return text
    return text[:_MAX_TEXT].rpartition(",")[0] + ", …"


def draw(path: Path = PICTURE) -> None:
    """Write the picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
    from matplotlib.path import Path as Outline

    graph, texts = imports(), packages()
    points, lines = layout(graph)
    half, tall = _BOX / 2, 0.47
    xs, ys = zip(*points.values(), strict=True)
    left, right = min(xs) - half - 0.3, max(xs) + half + 0.3
    low, high = min(ys) - tall - 0.55, max(ys) + tall + 0.2
    figure = Figure(figsize=(1.05 * (right - left), 0.95 * (high - low)))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(left, right), ylim=(low, high))
    axes.axis("off")
    for line in lines:
        (x0, y0), *between, (x1, y1) = line
        stops = [(x0, y0 - tall)]
        for x, y in between:
            stops += [(x, y + tall), (x, y - tall)]  # straight past the boxes of a level
        stops.append((x1, y1 + tall + 0.02))
        vertices, codes = [stops[0]], [Outline.MOVETO]
        for (ax, ay), (bx, by) in pairwise(stops):
            middle = (ay + by) / 2
            vertices += [(ax, middle), (bx, middle), (bx, by)]
            codes += [Outline.CURVE4] * 3
        axes.add_patch(
            FancyArrowPatch(
                path=Outline(vertices, codes),
                arrowstyle="-|>",
                mutation_scale=13,
                color=_ARROW,
                linewidth=1.5,
                zorder=1,
            )
        )
    for name, (x, y) in points.items():
        axes.add_patch(
            FancyBboxPatch(
                (x - half, y - tall),
                _BOX,
                2 * tall,
                boxstyle="round,pad=0,rounding_size=0.1",
                facecolor=_FILL,
                edgecolor=_EDGE,
                linewidth=1.2,
                zorder=2,
            )
        )
        about = textwrap.wrap(_short(texts[name].replace("`", "")), 44)
        axes.text(
            x, y + 0.32, name, ha="center", va="center", fontsize=11, fontweight="bold", zorder=3
        )
        axes.text(
            x, y + 0.2, "\n".join(about), ha="center", va="top", fontsize=7.2, zorder=3,
            color="#333333", linespacing=1.15,
        )  # fmt: skip
    axes.text(
        (left + right) / 2,
        low + 0.12,
        "Arrows: imports. Those that a chain of arrows implies are left out.",
        ha="center",
        va="bottom",
        fontsize=8.5,
        color="#555555",
    )
    figure.savefig(path, dpi=100, metadata={"Software": None, "Description": description()})


if __name__ == "__main__":
    draw()

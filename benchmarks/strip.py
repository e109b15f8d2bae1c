"""What an event costs in the runs strip_li_hops and strip_limg, and in larger boxes of them.

Each starts from its own beginning; only the in-plane size changes.
"""

from __future__ import annotations

from dataclasses import asdict

from common import arguments, draw, show, write_json

from kmc.runfile.load import load_run
from kmc.systems.electrode import benchmark

TIMES = (1, 2, 4, 8)  # the shipped size in either in-plane direction


def main() -> None:
    given = arguments(__doc__)
    rows, curves = [], {}
    for name in ("strip_li_hops", "strip_limg"):
        x, y = [], []
        nx, ny, layers = load_run(name).system.size
        for times in TIMES[:2] if given.quick else TIMES:
            size = [times * nx, times * ny, layers]
            result = benchmark.measure(
                name,
                lambda seed, name=name, size=size: benchmark.strip_engine(
                    name, seed, system__size=size
                ),
                events=200_000 if given.quick else 1_000_000,
                repeats=3 if given.quick else 5,
            )
            rows.append({"box": " × ".join(map(str, size)), **asdict(result)})
            x.append(result.sites)
            y.append(result.ns_per_event)
        curves[name] = (x, y)
    headings = {
        "name": "run",
        "box": "box",
        "vacancies": "vacancies",
        "ns_per_event": "ns per\nevent",
        "ns_lowest": "lowest",
        "ns_highest": "highest",
        "attempts_per_event": "draws per\nevent",
    }
    show("Cost of an event, full model, one core", rows, headings)
    write_json(given.out, "strip", rows)
    draw(given.out, "strip", curves, "sites", "cost of an event (ns)", lowest=50)


if __name__ == "__main__":
    main()

"""What an event costs against the number of sites and the fraction that is vacant.

Periodic bcc lattice gas with bonds at kT = E0/2 = pair_bond/2, random vacancies: the job of
`kmc bench`. An event should cost the same in any box, but for the memory that lies farther away.
"""

from __future__ import annotations

from dataclasses import asdict

from common import arguments, draw, show, write_json

from kmc.systems.electrode import benchmark

CELLS = (17, 37, 79, 126, 200)  # 2 n³ sites: 9 826 … 16 000 000
FRACTIONS = (1e-4, 1e-3, 1e-2, 5e-2, 0.2)
QUICK_CELLS = (17, 37, 79)
QUICK_FRACTIONS = (1e-3, 1e-2, 0.2)


def main() -> None:
    given = arguments(__doc__)
    rows, curves = [], {}
    for fraction in QUICK_FRACTIONS if given.quick else FRACTIONS:
        x, y = [], []
        for n in QUICK_CELLS if given.quick else CELLS:
            sites = 2 * n**3
            vacancies = max(1, round(fraction * sites))
            result = benchmark.measure(
                f"{sites} sites, {vacancies} vacancies",
                lambda seed, n=n, v=vacancies: benchmark.bulk_engine(n, 2 * n, v, seed=seed),
                events=200_000 if given.quick else 1_000_000,
                repeats=3 if given.quick or sites > 2_000_000 else 5,
            )
            rows.append({"vacancy_fraction": fraction, **asdict(result)})
            x.append(sites)
            y.append(result.ns_per_event)
        curves[f"{100 * fraction:g} % vacant"] = (x, y)
    headings = {
        "vacancy_fraction": "vacant",
        "sites": "sites",
        "vacancies": "vacancies",
        "ns_per_event": "ns per\nevent",
        "ns_lowest": "lowest",
        "ns_highest": "highest",
        "attempts_per_event": "draws per\nevent",
    }
    show("Cost of an event, bulk, one core", rows, headings)
    write_json(given.out, "event_cost", rows)
    draw(given.out, "event_cost", curves, "sites", "cost of an event (ns)", lowest=50)


if __name__ == "__main__":
    main()

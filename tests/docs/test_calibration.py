"""The page of calibrations shows a whole run of the shipped one, docs/calibration_operando.json.

The JSON is what the page needs of the ``calibration.json`` of
``kmc calibrate calibrate_operando``. ``python tests/docs/test_calibration.py FOLDER`` takes it from
the folder of a new run, and writes the tables of the page anew.
"""

from __future__ import annotations

import json
import math
import re
import sys
from pathlib import Path

import pytest

from kmc.campaign.calibration.problem import read_problem
from kmc.common.formatting import figure, quantity

DOCS = Path(__file__).resolve().parents[2] / "docs"
STORED, PAGE = DOCS / "calibration_operando.json", DOCS / "calibration.md"
BEGIN = "<!-- From calibration_operando.json, by python tests/docs/test_calibration.py -->"
END = "<!-- end -->"
KEPT = (
    *("kmc", "file", "text", "plausible", "waves", "refused", "inputs", "emulators", "idle"),
    *("posterior", "predictions", "next", "worst"),
)


def stored() -> dict:
    return json.loads(STORED.read_text(encoding="utf-8"))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |".replace("\N{NO-BREAK SPACE}", " ")


def _end(value) -> str:
    return value if isinstance(value, str) else "–" if value is None else figure(value)


def tables(found: dict) -> str:
    waves = "; ".join(
        f"wave {k}: {wave['settings']} settings, {100 * wave['plausible_share']:.2g} % of the "
        f"priors plausible, lowest implausibility {wave['lowest']:.2g}"
        for k, wave in enumerate(found["waves"], start=1)
    )
    rms = [e["rms_error"] for e in found["emulators"] if e["rms_error"] is not None]
    lines = [
        f"kmc {found['kmc']}. {waves[0].upper()}{waves[1:]}. Left-one-out errors over their "
        f"standard deviation: {min(rms):.2f} to {max(rms):.2f}.",
        "",
        _row("input", "prior", "median (90 % interval)", "width left"),
        _row(*["---"] * 4),
    ]
    for row in found["posterior"]:
        about = found["inputs"][row["input"]]
        low, high = about.get("log_uniform") or about["uniform"]
        unit = quantity(about["keys"][0])[1]
        ends = f"{figure(row['median'])} ({figure(row['low'])}…{figure(row['high'])}) {unit}"
        left = f"{100 * row['width_left']:.0f} %"
        lines.append(_row(row["input"], f"{low:g}…{high:g}", ends.strip(), left))
    lines += ["", _row("fitted", "measured", "90 % of runs"), _row(*["---"] * 3)]
    for row in (r for r in found["predictions"] if not r["held_out"]):
        name = f"{row['experiment']}, {row['quantity']}"
        lines.append(_row(name, row["measured"], f"{_end(row['low'])}…{_end(row['high'])}"))
    lines.append("")
    for verdict in ("within", "outside", "not judged"):
        for kind in ("seen", "held out"):
            texts = [
                f"{r['experiment']} ({_end(r['median'])}, measured {r['measured']})"
                if verdict == "outside"
                else r["experiment"]
                for r in found["predictions"]
                if r["held_out"] and r["verdict"] == verdict and r["seen"] == (kind == "seen")
            ]
            text = f"- {kind}, **{verdict}**: {'; '.join(texts)}"
            lines += [text.replace("\N{NO-BREAK SPACE}", " ")] if texts else []
    return "\n".join(lines) + "\n"


def page(found: dict) -> str:
    text = PAGE.read_text(encoding="utf-8")
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    assert begin, f"{PAGE} has lost its marks"
    assert end, f"{PAGE} has lost its marks"
    return f"{head}{BEGIN}\n\n{tables(found)}\n{END}{tail}"


def test_the_page_shows_the_stored_run():
    command = "python tests/docs/test_calibration.py"
    assert PAGE.read_text(encoding="utf-8") == page(stored()), f"run: {command}"


def test_the_stored_run_is_of_the_shipped_file():
    """Another prior, run or number of points has other results: run it again."""
    assert stored()["text"] == Path(read_problem("calibrate_operando").source).read_text("utf-8")


def test_inputs_of_shipped_cells_lie_within_the_intervals():
    """All but flaws of Li of what they name: six of seven, as their sinks have no depth."""
    from kmc.model.parameters import load_parameters
    from kmc.runfile.load import load_run

    within = {}
    for row in stored()["posterior"]:
        run = load_run("operando_limg" if row["input"] == "flaws_LiMg" else "operando_li")
        (key,) = stored()["inputs"][row["input"]]["keys"]
        section, _, name = key.partition(".")
        if section == "parameters":
            value = load_parameters(run.system.params).value(name)
        else:
            value = getattr(getattr(run, section), name)
        if value < math.inf:
            within[row["input"]] = row["low"] < value < row["high"]
    assert len(within) == 6
    assert [name for name, inside in within.items() if not inside] == ["flaws_Li"]


@pytest.mark.slow
def test_a_run_at_the_medians_has_the_figures_of_the_page(tmp_path):
    """Voids of Li at 0.2 MPa, no rise there nor at 1 MPa: why the medians do not ship."""
    import kmc
    from kmc.papers.readings import voids_of

    medians = {
        key: row["median"]
        for row in stored()["posterior"]
        for key in stored()["inputs"][row["input"]]["keys"]
        if row["input"] != "flaws_LiMg"
    }
    size = {"upscale.domain_um": 20, "upscale.capacity_mAh_cm2": 4.0, "upscale.frames": 1}
    found = {}
    for pressure in (0.2, 1.0):
        pressed = {"upscale.pressure_share": 1.0, "conditions.stack_pressure_MPa": pressure}
        out = tmp_path / f"{pressure}.h5"
        run = kmc.run("operando_li", medians | size | pressed, output=out, progress=False)
        found[pressure] = voids_of(run.samples, run.stop_reason)
    text = " ".join((DOCS / "study_operando.md").read_text(encoding="utf-8").split())
    numbers = re.search(r"has (\d+) cuts of ([\d.]+) µm .* no rise by 4 mAh", text).groups()
    names = ("cuts_first", "width_first_um")
    for name, number, within in zip(names, map(float, numbers), (0.6, 0.06), strict=True):
        assert found[0.2][name] == pytest.approx(number, abs=within)
    for run in found.values():
        assert run["risen_mAh_cm2"] == float("inf")


@pytest.mark.long
def test_the_first_runs_of_the_wave_are_those_of_the_stored_run_within_the_discrepancy(tmp_path):
    """Four settings of each, whose numbers trained the emulators.

    What moves numbers by less than the model may be wrong by leaves the result standing; beyond it,
    run it again.
    """
    from kmc.campaign.calibration.data import discrepancy_of
    from kmc.campaign.calibration.design import Sweeps, sobol

    problem, found = read_problem("calibrate_operando"), stored()
    places = sobol(problem.settings.points, len(problem.priors), problem.settings.seed)[:4]
    within = []
    for name in ("Li", "Li-Mg", "Li 7 MPa"):
        rows, of = [problem.settings_of(name, u) for u in places], problem.observables(name)
        again = Sweeps(problem, progress=False)(name, rows, of, 1, tmp_path / name)
        for k, one in enumerate(of):
            for number, value in enumerate(found["first_runs"][one.name]):
                moved = abs(float(one.scaled(again.values[number, 0, k]) - one.scaled(value)))
                within.append(moved < discrepancy_of(one, value, problem.discrepancy, "the file"))
    print(f"{sum(within)} of {len(within)} numbers within one standard deviation")
    # Single runs: an image more or less until voids coalesce is half of a charge.
    assert sum(within) >= 0.9 * len(within)


if __name__ == "__main__":
    for folder in map(Path, sys.argv[1:]):
        import numpy as np

        content = json.loads((folder / "calibration.json").read_text(encoding="utf-8"))
        kept = {key: content[key] for key in KEPT}
        with np.load(folder / "samples.npz") as arrays:
            kept["first_runs"] = {
                str(name): [None if v != v else float(f"{v:.6g}") for v in column]
                for one in ("Li", "Li-Mg", "Li 7 MPa")
                for name, column in zip(
                    arrays[f"names/{one}"], arrays[f"x/{one}"][:4, 0].T, strict=True
                )
            }
        STORED.write_text(
            json.dumps(kept, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8"
        )
    PAGE.write_text(page(stored()), encoding="utf-8")

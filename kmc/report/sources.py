"""What a report shows of each kind of result: `report` finds out which it is.

A new kind of result gets a function here that fills a `Page`, and a line in `_FOLDERS` or `_page`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from kmc import plotting
from kmc.analysis.summary import summary
from kmc.campaign.convergence.reading import RATIO, read_study
from kmc.campaign.dataset import load_sweep
from kmc.campaign.folder import open_folder
from kmc.common.formatting import figure, label
from kmc.common.json_files import read_json
from kmc.common.outputs import check_output, replacing
from kmc.errors import InputError
from kmc.population.result import PopulationRun
from kmc.report import common
from kmc.report.claims_page import study_page
from kmc.report.page import Listing, Page, Table, Text
from kmc.systems.run import load
from kmc.trajectory.reader import Trajectory
from kmc.trajectory.table_run import TableRun

STUDY_FILE = "study.json"
_SWEEP_NUMBERS = (
    *("contact_fraction", "voids", "mean_void_width_nm", "voids_per_100um", "mean_width_um"),
    *("overpotential_V", "coverage", "dead_fraction", "contact_active_active"),
)
_MAX_ROWS = 200


def report(
    source: str | Path, output: str | Path | None = None, *, overwrite: bool = False
) -> Path:
    """Write one self-contained HTML page of a result.

    Parameters
    ----------
    source : str or Path
        A trajectory, a population, the JSON of `kmc nucleation`, or the folder of a sweep, a
        convergence study, a search for a critical value or a study.
    output : str or Path, optional
        A .html file; NAME_report.html beside `source` by default.
    overwrite : bool
        Replace `output` where it exists.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    InputError
        The source is nothing of kmc, or the output cannot be written.
    """
    path = Path(source)
    target = default_output(path) if output is None else Path(output)
    check_output(target, overwrite, (".html", ".htm"), "report")
    text = page_of(path).html()
    with replacing(target) as draft:
        draft.write_text(text, encoding="utf-8")
    return target


def default_output(path: Path) -> Path:
    """NAME_report.html beside a file or a folder."""
    full = path.resolve()
    name = f"{full.name if full.is_dir() else full.stem}_report.html"
    beside = path.with_name(name) if path.name not in ("", ".", "..") else full.with_name(name)
    return beside


def page_of(path: Path) -> Page:
    """The page of a result.

    Raises
    ------
    InputError
        It is nothing that kmc writes.
    """
    if path.is_dir():
        if (path / STUDY_FILE).is_file():
            with _damage_in_words(path, "Go on with the study: kmc study ... -o FOLDER."):
                return study_page(path)
        if not any(path.glob("index.json")):
            raise InputError(
                f"{path} is neither the folder of a study nor that of a sweep",
                advice="kmc study, kmc sweep, kmc converge and kmc critical make such folders; "
                "a single run is a file.",
            )
        return _sweep_page(path)
    if path.suffix.lower() == ".json":
        return _nucleation_page(path)
    found = load(path)
    return _PAGES.get(found.kind, _system_page)(found)


@contextlib.contextmanager
def _damage_in_words(path: Path, advice: str) -> Iterator[None]:
    """Turn what a file of another layout leads to into a message."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as problem:
        raise InputError(
            f"{path} is damaged: {type(problem).__name__} {problem}", advice=advice
        ) from None


# --- one run --------------------------------------------------------------------------------------


def _run_page(t: Trajectory) -> Page:
    page = Page(t.path.name, "Trajectory of a kinetic Monte Carlo run (kmc run)")
    rows = summary(t)
    page.add("Summary", Table(rows))
    pictures = {}
    if len(t.samples):
        pictures["summary"] = (
            "Contact fraction and overpotential; the interface in the last frame, and a "
            "cross-section through it"
        )
    if len(t.samples) and len(t.frames) > 1:
        pictures["voids"] = "Number, volume and largest void"
        pictures["lifelines"] = (
            "Every void from nucleation to collapse, with coalescence and splitting"
        )
        if t.has_interface:
            pictures["profiles"] = "Mg and vacancies by layer"
    page.add("Figures", *_drawn(t.plot, pictures))
    page.add("Convergence", *_slowing(t.acceleration, t.run))
    provenance = {key: value for key, value in t.provenance.items() if isinstance(value, str)}
    _add_file(page, t, t.resolved.get("parameters", {}), provenance)
    return page


def _drawn(draw: Callable[[str], Any], pictures: Mapping[str, str]) -> list[Any]:
    """Pictures of a file by name, each with its caption."""
    return [common.picture(partial(draw, what), text) for what, text in pictures.items()]


def _add_file(
    page: Page,
    found: Trajectory | PopulationRun | TableRun,
    parameters: Mapping[str, Any],
    provenance: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Inputs and provenance of a file."""
    common.add_inputs(page, found.run, parameters, Listing("The run file", found.run_file))
    versions = {"written by": f"kmc {found.kmc_version}", "seed": found.seed}
    common.add_versions(page, versions | {"schema": found.schema_version, **provenance})


def _slowing(acceleration: Mapping[str, Any], run: Mapping[str, Any]) -> list[Any]:
    """How far hops were slowed, and what that leaves open."""
    classes = [c for c in acceleration.get("classes", []) if c.get("slowed_by", 1.0) > 1.001]
    if not classes:
        return [Text(["No barrier was raised: the kinetics are exact for the parameter set."])]
    rows = [
        (
            str(c["name"]).replace("_", " "),
            figure(c["barrier_eV"], "eV"),
            figure(c["floored_barrier_eV"], "eV"),
            figure(c["slowed_by"]),
        )
        for c in classes
    ]
    text = (
        "Equilibrium is untouched by raised barriers, kinetics are not. One run cannot show what "
        "that changes: kmc converge repeats it at several ratios of hops to stripped atoms."
    )
    return [Text([text]), Table(rows, ("hops", "barrier", "raised to", "slowed by"))]


# --- a population ---------------------------------------------------------------------------------


def _population_page(found: PopulationRun) -> Page:
    page = Page(found.path.name, "Population of voids (kmc upscale)")
    page.add("Summary", Table(found.summary()))
    pictures = {
        "summary": "Contact, voids, their width and height, and the overpotential against charge",
        "microscope": "The same numbers beside those of the operando images of Zhao et al. (2025), "
        "10.1038/s41467-025-59567-8, on their scales",
        "section": "A section along a line: metal light, voids black, electrolyte dark",
        "map": "The interface from above: contact in grey, the gap in blue",
        "sizes": "Sizes of the voids",
    }
    if not found.has_gap:
        pictures = {"microscope": pictures["microscope"]}

    def draw(what: str) -> Any:
        return plotting.population_picture([found], what=what, paper=what == "microscope")

    page.add("Figures", *_drawn(draw, pictures if len(found.samples["time_s"]) else {}))
    page.add(
        "Convergence",
        Text(
            [
                "Rates are those of the parameter set, nothing is slowed. A square has to hold "
                "hundreds of voids, and a cell of the grid has to be narrower than the rim of a "
                "spreading void: docs/upscaling.md has the figures."
            ]
        ),
        Table([(label(key), common.number(v)) for key, v in found.facts.items()]),
    )
    _add_file(page, found, found.params)
    return page


# --- another system -------------------------------------------------------------------------------


def _system_page(found: TableRun) -> Page:
    system = found.system
    page = Page(found.path.name, f"{system.noun.capitalize()} (kmc run)")
    page.add("Summary", Table(found.summary()))
    if len(found.samples["time_s"]) and len(found.frames["sample"]):
        captions = {what: text.capitalize() for what, text in system.pictures.items()}
        page.add("Figures", *_drawn(found.plot, captions))
    units = system.samples
    last = [
        (f"{name.replace('_', ' ')}, {units[name][0]}", common.number(float(values[-1])))
        for name, values in found.samples.items()
        if len(values) and name in units
    ]
    page.add("Last sample", Table(last))
    _add_file(page, found, found.params)
    return page


_PAGES: dict[str, Any] = {"electrode": _run_page, "population": _population_page}
"""Kinds whose page has more than summary, pictures and last sample."""


# --- many runs ------------------------------------------------------------------------------------


def _sweep_page(folder: Path) -> Page:
    opened = open_folder(folder)
    plan = opened.plan
    study = list(plan.axes) == [RATIO]
    kind = "Convergence study (kmc converge)" if study else "Sweep (kmc sweep)"
    if (folder / "critical.csv").is_file():
        kind = "Search for a critical value (kmc critical)"
    page = Page(folder.resolve().name, kind)
    ds = load_sweep(folder, progress=False)
    states = ds.state.values.ravel()
    axes = [
        (axis, f"{len(values)} values", ", ".join(common.number(value) for value in values[:12]))
        for axis, values in plan.axes.items()
    ]
    counts = [(state, f"{int((states == state).sum())} runs") for state in sorted(set(states))]
    page.add(
        "Summary",
        Table([("run", plan.base), ("replicas", str(plan.replicas)), *counts]),
        Table(axes, ("varied", "", "values")) if axes else None,
    )
    first = _first_done(ds)
    if study and first is not None:
        found = read_study(folder)
        page.add(
            "Convergence",
            Text(found.lines()),
            common.picture(
                lambda: plotting.convergence_picture(found),
                "Each number against the ratio of hops to stripped atoms, with 95 % intervals",
            ),
        )
    if first is not None:
        page.add("Figures", *_sweep_pictures(ds, first), _critical_picture(folder))
        page.add("Results", *_sweep_tables(ds))
    failures = [(row["error"], row["seed"]) for _, row in ds.sweep.status().iterrows()
                if row["state"] == "failed"]  # fmt: skip
    if failures:
        page.add("Failures", Table(failures[:_MAX_ROWS], ("error", "seed")))
    if not study and hasattr(first, "acceleration"):
        page.add("Convergence", *_slowing(first.acceleration, first.run))
    parameters = {} if first is None else first.resolved.get("parameters", {})
    common.add_inputs(page, plan.tables, parameters, Listing("The sweep file", plan.text))
    made = "unknown" if first is None else f"kmc {first.kmc_version}"
    common.add_versions(page, {"first run written by": made, "seed of the sweep": plan.seed})
    return page


def _first_done(ds: Any) -> Any:
    for path, state in zip(ds.path.values.ravel(), ds.state.values.ravel(), strict=True):
        if state == "done":
            return load(path)
    return None


def _sweep_pictures(ds: Any, first: Any) -> list[Any]:
    """The first two axes that vary, at the first value of any other."""
    numbers = [name for name in _SWEEP_NUMBERS if name in ds]
    varying = [str(d) for d in ds.path.dims if d != "replica" and ds.sizes[d] > 1]
    if not varying:
        return []
    where = {name: ds[name].values[0] for name in varying[2:]}
    held = ", ".join(f"{name} = {value}" for name, value in where.items())
    return [
        common.picture(
            lambda name=name: plotting.sweep_picture(  # type: ignore[misc]
                ds, name, x=varying[0], y=varying[1] if len(varying) > 1 else None, where=where
            ),
            f"{label(name)} at the end of the runs, means and 95 % intervals"
            + (f"; {held}" if held else ""),
        )
        for name in numbers
        if name in ds
    ]


def _sweep_tables(ds: Any) -> list[Any]:
    """Means over the replicas, one row a setting."""
    names = [name for name in _SWEEP_NUMBERS if name in ds]
    dims = [str(d) for d in ds.path.dims if d != "replica"]
    if not dims:
        rows = [("all runs", *(figure(float(ds[n].mean())) for n in names))]
        return [Table(rows, ("", *(label(name) for name in names)))]
    stacked = ds[names].mean("replica").stack(point=dims)
    rows = []
    for i in range(min(stacked.sizes["point"], _MAX_ROWS)):
        one = stacked.isel(point=i)
        labels = ", ".join(f"{d} = {common.number(one[d].values.item())}" for d in dims)
        rows.append((labels, *(figure(float(one[name])) for name in names)))
    heads = ("setting", *(label(name) for name in names))
    return [Table(rows, heads, "Means over the replicas at the end of the runs")]


def _critical_picture(folder: Path) -> Any:
    return common.picture_file(folder / "critical.png", "Where runs begin to fail (kmc critical)")


# --- nucleation -----------------------------------------------------------------------------------


def _nucleation_page(path: Path) -> Page:
    found = read_json(path)
    if not isinstance(found, dict) or not {"ln_Z", "burst", "law"} <= set(found):
        raise InputError(
            f"{path} is not the JSON of `kmc nucleation`",
            advice="kmc report also takes trajectories, populations and folders of sweeps.",
        )
    page = Page(path.name, "Nucleation of voids at the true rates (kmc nucleation)")
    with _damage_in_words(path, "Write it again: kmc nucleation ... --json FILE."):
        _fill_nucleation(page, found, path)
    return page


def _fill_nucleation(page: Page, found: dict[str, Any], path: Path) -> None:
    burst, law = found["burst"], found["law"]
    rows = [
        ("parameter set", found.get("parameters", found.get("name", "–"))),
        ("voids of the burst", _some(burst["density_per_um2"], "per µm²")),
        ("largest activity S", _some(burst["S"])),
        ("after", _some(burst["time_s"], "s")),
        ("current", _some(burst["current_mA_cm2"], "mA/cm²")),
        ("threshold current", _some(found.get("threshold_current_mA_cm2"), "mA/cm²")),
        ("γ of the cap law", _some(law["gamma_J_m2"], "J/m²")),
    ]
    page.add("Summary", Table(rows), Text(list(found.get("statements", []))))
    pictures = [
        common.picture_file(path.with_name(f"{path.stem}{end}.png"), "Picture of kmc nucleation")
        for end in ("", "_nucleation")
    ]
    from kmc.plotting.nucleation_panels import file_picture

    page.add(
        "Figures",
        common.picture(
            lambda: file_picture(found),
            "ln Z_n against the size of a cluster; voids per µm² against the current, with the "
            "band of γ ± 10 % and a prefactor times and over ten",
        ),
        *pictures,
    )
    bursts = [
        (
            _some(one["current_mA_cm2"]),
            _some(one["density_per_um2"]),
            _some(one["S"]),
            _some(one["time_s"]),
        )
        for one in found.get("burst_by_current", [])
    ]
    page.add(
        "Results",
        Table(
            [(S, *(_some(found[key].get(S)) for key in ("critical_size", "barrier_kT")))
             for S in found["barrier_kT"]],
            ("S", "critical size", "W (kT)"),
        ),
        Table(bursts, ("mA/cm²", "voids per µm²", "largest S", "at (s)")),
    )  # fmt: skip
    scalars = {k: v for k, v in found.items() if isinstance(v, str | int | float | bool)}
    page.add("Settings", Table([(key, common.number(value)) for key, value in scalars.items()]))
    common.add_versions(page, {"written by": f"kmc {found.get('kmc_version', 'unknown')}"})


def _some(value: Any, unit: str = "") -> str:
    return "–" if value is None else figure(float(value), unit)

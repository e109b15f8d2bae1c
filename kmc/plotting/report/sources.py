"""What a report shows of each kind of result: `report` finds out which it is.

A file of a run of any kind is shown by what its `kmc.systems.system.System` says of it; folders and
the JSON of `kmc nucleation` have functions of their own.
"""

import contextlib
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from kmc import plotting
from kmc.campaign.calibration.calibrate import RESULT
from kmc.campaign.convergence.findings import AXES
from kmc.campaign.convergence.outcome import read_study
from kmc.campaign.dataset import load_sweep
from kmc.campaign.folder import open_folder
from kmc.common.formatting import figure, label, quantity
from kmc.common.json_files import check_contents, read_json
from kmc.common.outputs import check_output, write_text
from kmc.errors import InputError
from kmc.plotting.nucleation_panels import file_picture
from kmc.plotting.report import page as html
from kmc.plotting.report.claims_page import calibration_page, study_page
from kmc.runfile.kinds import BOX
from kmc.systems.run import load

STUDY_FILE = "study.json"
# Of many columns those that a reader looks for, after the headline of the kind.
_NUMBERS = (
    *("contact_fraction", "voids", "mean_void_width_nm", "voids_per_100um", "mean_width_um"),
    *("overpotential_V", "coverage", "dead_per_plated", "contact_active_active"),
)
_MAX_ROWS = 200


def report(
    source: str | Path, output: str | Path | None = None, *, overwrite: bool = False
) -> Path:
    """Write one self-contained HTML page of a result.

    - `source`: a trajectory, a population, the JSON of `kmc nucleation`, or the folder of a sweep,
      a convergence study, a search for a critical value or a study.
    - `output`: a .html file; NAME_report.html beside `source` by default.
    - `overwrite`: replace `output` where it exists.

    Returns Path: the file that was written.

    Raises `InputError`: the source is nothing of kmc, or the output cannot be written.
    """
    path = Path(source)
    target = default_output(path) if output is None else Path(output)
    check_output(target, overwrite, (".html", ".htm"), "report")
    write_text(target, page_of(path).html())
    return target


def default_output(path: Path) -> Path:
    """NAME_report.html beside a file or a folder."""
    full = Path(os.path.realpath(path))  # unlike resolve(), without an error for a loop of links
    name = f"{full.name if full.is_dir() else full.stem}_report.html"
    return (full if path.name in ("", ".", "..") else path).with_name(name)


def page_of(path: Path) -> html.Page:
    """The page of a result.

    Raises `InputError`: it is nothing that kmc writes.
    """
    if path.is_dir():
        check_contents(path)
        if (path / STUDY_FILE).is_file():
            with _damage_in_words(path, "Go on with the study: kmc study ... -o FOLDER."):
                return study_page(path)
        if (path / RESULT).is_file():
            with _damage_in_words(path, "Repeat kmc calibrate: its runs are kept."):
                return calibration_page(path)
        if not any(path.glob("index.json")):
            raise InputError(
                f"{path} is neither the folder of a study nor that of a sweep",
                advice="kmc study, kmc sweep, kmc converge and kmc critical make such folders; "
                "a single run is a file.",
            )
        return _sweep_page(path)
    # Of JSON kmc reports nucleation alone; other files are opened as runs.
    if path.suffix.lower() == ".json":
        with _damage_in_words(path, "Write it again: kmc nucleation ... --json FILE."):
            return _nucleation_page(path)
    return _file_page(load(path))


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

# A box of atoms has more pictures than a page wants; of the other kinds all are shown.
_LINES = 5  # of the summary beside the first figure; the others come below it
_SHOWN = {BOX: ("summary", "voids", "lifelines", "profiles")}


def _file_page(found: Any) -> html.Page:
    """The page of a run of any kind: what its `System` says of it."""
    system = found.system
    page = html.Page(found.path.name, f"{system.noun.capitalize()} (kmc run)")
    columns, n_frames = system.columns(found), len(found.frames)
    rows = system.summed_up(found, full=True)
    drawn = []
    if n_frames and len(columns["time_s"]):
        named = _SHOWN.get(found.kind, tuple(system.pictures))
        for what in named if n_frames > 1 else named[:1]:  # events need a second frame
            text = system.pictures[what]
            draw = partial(system.plot, [found], what, paper=what == "microscope")
            drawn.append(html.picture(draw, text[:1].upper() + text[1:]))
    page.add("What the numbers rest on", html.Text([found.rests_on]) if found.rests_on else None)
    # A row without a name continues the one before, and stays with it.
    end = next((i for i, row in enumerate(rows) if i >= _LINES and row[0]), len(rows))
    page.add("Summary", html.Table(rows[:end]), *drawn[:1], beside=bool(drawn))
    page.add("More numbers", html.Table(rows[end:]) if rows[end:] else None)
    page.add("Figures", *drawn[1:])
    facts = getattr(found, "facts", {})
    table = html.Table([(label(key), html.number(value, 4)) for key, value in facts.items()])
    page.add("What follows from the input", table if facts else None)
    last = [
        (label(k), html.number(float(columns[k][-1]), 4)) for k in system.samples if k in columns
    ]
    page.add("Last sample", html.Table(last) if len(columns["time_s"]) else None)
    parameters = found.resolved.get("parameters", {})
    html.add_inputs(page, found.run, parameters, html.Listing("The run file", found.run_file))
    versions = {"written by": f"kmc {found.kmc_version}", "seed": found.seed}
    of_run = getattr(found, "provenance", {})
    versions |= {key: value for key, value in of_run.items() if isinstance(value, str)}
    html.add_versions(page, versions | {"schema": found.schema_version})
    return page


# --- many runs ------------------------------------------------------------------------------------


def _sweep_page(folder: Path) -> html.Page:
    opened = open_folder(folder)
    plan = opened.plan
    study = list(plan.axes) in ([key] for key in AXES)
    kind = "Convergence study (kmc converge)" if study else "Sweep (kmc sweep)"
    # Its runs are those of a sweep; only the table beside them distinguishes them.
    if (folder / "critical.csv").is_file():
        kind = "Search for a critical value (kmc critical)"
    page = html.Page(folder.resolve().name, kind)
    ds = load_sweep(folder, progress=False)
    states = ds.state.values.ravel()
    axes = [
        (axis, f"{len(values)} values", ", ".join(html.number(value) for value in values[:12]))
        for axis, values in plan.axes.items()
    ]
    counts = [(state, f"{int((states == state).sum())} runs") for state in sorted(set(states))]
    page.add(
        "Summary",
        html.Table([("run", plan.base), ("replicas", str(plan.replicas)), *counts]),
        html.Table(axes, ("varied", "", "values")) if axes else None,
    )
    done = ds.path.values.ravel()[states == "done"]
    first = load(done[0]) if len(done) else None
    if study and first is not None:
        found = read_study(folder)
        against = "ratio of hops to stripped atoms" if found.axis.slows else found.axis.noun
        text = f"Each number against the {against}, with 95 % intervals"
        drawn = html.picture(partial(plotting.convergence_picture, found), text)
        page.add("Convergence", html.Text(found.lines()), drawn)
    if first is not None:
        critical = html.picture_file(
            folder / "critical.png", "Where runs begin to fail (kmc critical)"
        )
        dims = [str(d) for d in ds.path.dims if d != "replica"]
        names = [name for name in dict.fromkeys((ds.attrs["headline"], *_NUMBERS)) if name in ds]
        varying = [d for d in dims if ds.sizes[d] > 1]
        # The first two axes that vary, at the first value of any other.
        x, y = [*varying, None, None][:2]
        where = {name: ds[name].values[0] for name in varying[2:]}
        held = "".join(f"; {name} = {value}" for name, value in where.items())
        draw = partial(plotting.sweep_picture, ds, x=x, y=y, where=where)
        drawn = [
            html.picture(partial(draw, name), f"{_named(ds, name)}, means and 95 % intervals{held}")
            for name in (names if varying else ())
        ]
        page.add("Figures", *drawn, critical)
        # Means over the replicas, one row a setting.
        means = ds[names].mean("replica")
        every = (means if dims else means.expand_dims("all")).to_dataframe().reset_index()
        rows = []
        for row in every[:_MAX_ROWS].to_dict("records"):
            setting = ", ".join(f"{d} = {html.number(row[d])}" for d in dims) or "all runs"
            rows.append((setting, *(figure(float(row[name])) for name in names)))
        heads = ("setting", *(_named(ds, name) for name in names))
        page.add("Results", html.Table(rows, heads, "Means over the replicas"))
    status = ds.sweep.status()
    failures = status.loc[status["state"] == "failed", ["error", "seed"]].to_numpy().tolist()
    if failures:
        page.add("Failures", html.Table(failures[:_MAX_ROWS], ("error", "seed")))
    # Of a box how far its hops were slowed; a study says so itself.
    summary = [] if first is None or study else first.summary(full=True)
    begin = next((i for i, (name, _) in enumerate(summary) if name == "Kinetics"), len(summary))
    page.add("Kinetics", html.Table(summary[begin:]) if summary[begin:] else None)
    parameters = {} if first is None else first.resolved.get("parameters", {})
    html.add_inputs(page, plan.tables, parameters, html.Listing("The sweep file", plan.text))
    made = "unknown" if first is None else f"kmc {first.kmc_version}"
    html.add_versions(page, {"first run written by": made, "seed of the sweep": plan.seed})
    return page


def _named(ds: Any, name: str) -> str:
    """Label of a number of a sweep: that of a charge at which contact is lost says so."""
    plain = quantity(name)[0]
    return label(name).replace(plain, ds[name].attrs.get("label", plain))


# --- nucleation -----------------------------------------------------------------------------------


def _nucleation_page(path: Path) -> html.Page:
    content = read_json(path)
    if not isinstance(content, dict) or not {"ln_Z", "burst", "law"} <= set(content):
        raise InputError(
            f"{path} is not the JSON of `kmc nucleation`",
            advice="kmc report also takes trajectories, populations and folders of sweeps.",
        )
    page = html.Page(path.name, "Nucleation of voids at the true rates (kmc nucleation)")
    burst = content["burst"]
    rows = [
        ("parameter set", content.get("parameters", content.get("name", "–"))),
        ("voids of the burst", _some(burst["density_per_um2"], "per µm²")),
        ("largest activity S", _some(burst["S"])),
        ("after", _some(burst["time_s"], "s")),
        ("current", _some(burst["current_mA_cm2"], "mA/cm²")),
        ("threshold current", _some(content.get("threshold_current_mA_cm2"), "mA/cm²")),
        ("γ of the cap law", _some(content["law"]["gamma_J_m2"], "J/m²")),
    ]
    page.add("Summary", html.Table(rows), html.Text(list(content.get("statements", []))))
    text = "ln Z_n against the size of a cluster; voids per µm² against the current, with the band "
    text += "of γ ± 10 % and a prefactor times and over ten"
    page.add("Figures", html.picture(partial(file_picture, content), text))
    barriers = [
        (S, *(_some(content[key].get(S)) for key in ("critical_size", "barrier_kT")))
        for S in content["barrier_kT"]
    ]
    columns = ("current_mA_cm2", "density_per_um2", "S", "time_s")
    bursts = [[_some(one[key]) for key in columns] for one in content.get("burst_by_current", [])]
    by_current = html.Table(bursts, ("mA/cm²", "voids per µm²", "largest S", "at (s)"))
    page.add("Results", html.Table(barriers, ("S", "critical size", "W (kT)")), by_current)
    scalars = {k: v for k, v in content.items() if isinstance(v, str | int | float | bool)}
    page.add("Settings", html.Table([(key, html.number(value)) for key, value in scalars.items()]))
    html.add_versions(page, {"written by": f"kmc {content.get('kmc_version', 'unknown')}"})
    return page


def _some(value: Any, unit: str = "") -> str:
    return "–" if value is None else figure(float(value), unit)

"""`kmc study`: plans of many runs, one for each paper, and its claims judged from them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from kmc.cli.shared import (
    INTERRUPTED,
    console,
    folder_option,
    option,
    quiet_option,
    quoted,
    with_options,
    workers_option,
)
from kmc.cli.sweeps import cluster_options, workers_of

_STUDIES = {
    "operando": (
        "Li and Li-Mg beside the operando paper.",
        "Zhao et al., 10.1038/s41467-025-59567-8. Voids of Li and of Li0.97Mg0.03 as in the "
        "operando cell and at its stack pressures, with one input or a pair of them changed, boxes "
        "of atoms, nucleation at the true rates, and convergence.",
    ),
    "interlayer": (
        "Lithium on carbon and ZnO beside the interlayer paper.",
        "Shen et al., 10.1038/s41467-025-60609-4. Aurbach's protocol on ZnO, LiZn and carbon, a "
        "map over adsorption energy and barrier, islands of ZnO on carbon, dead lithium with and "
        "without a scaffold, and one input changed at a time.",
    ),
    "cathode": (
        "Creeping selenium beside the cathode paper.",
        "Xiong et al., 10.1038/s41467-024-48174-8. Selenium, LiCoO2 and FeS in a frame of Mo6Se8, "
        "and selenium with one input changed at a time.",
    ),
}
_EPILOG = """\
\b
Examples:
  kmc study {name} --dry-run            what will run, how long and where
  kmc study {name}                      again: goes on
  kmc study {name} --judge-only         the claims from what the folder has
  kmc report study_{name}               the page of the study
{more}
The folder holds the sweep file of each step; what a step needs is skipped where it is done. The
table of claims is printed and written to claims.json: each claim of the paper with what the runs
say, the verdict by a stated rule, and which input changes it.

Exit codes: 0 done (a claim that is not reproduced is a result, not a failure), 2 the input cannot
be used, 130 interrupted; repeat the command to continue.
"""
_PLANS = """
\b
  kmc study operando --full -o study_full --dask tls://10.0.0.1:8786 --dask-tls keys
  kmc study operando --plan reduced -o small
  kmc study operando --calibration calibrate_operando       a second column
"""


@click.group()
def study() -> None:
    """Many runs beside the claims of a paper."""


def _add(name: str, short: str, text: str) -> None:
    """Add the command of a paper."""

    def run(**given: Any) -> None:
        full, plan = given.pop("full", False), given.pop("plan", None)
        _run(name, "full" if full else plan, **given)

    more = _PLANS if name == "operando" else ""
    run.__doc__ = f"Run a study, and print the claims of the {name} paper.\n\n{text}"
    command = study.command(name, short_help=short, epilog=_EPILOG.format(name=name, more=more))
    flags = [
        folder_option("-o", "--output", default=Path(f"study_{name}"), help="Folder of the study."),
        option("--dry-run", is_flag=True, help="Say what will run, how long and where; no more."),
        option("--judge-only", is_flag=True, help="Run nothing; judge what the folder has."),
        folder_option(
            "--calibration", help="Of kmc calibrate: judge over its posterior runs, too."
        ),
        workers_option,
        cluster_options,
        quiet_option,
        option("--plan", help="reduced, default or full; that of the folder, else default."),
        option("--full", is_flag=True, help="The same as --plan full: hours."),
    ]
    command(with_options(*flags)(run))


for _name, (_short, _text) in _STUDIES.items():
    _add(_name, _short, _text)


def _run(
    name: str,
    plan: str | None,
    *,
    output: Path,
    dry_run: bool,
    judge_only: bool,
    calibration: Path | None,
    workers: int | None,
    quiet: bool,
    **cluster: Any,
) -> None:
    """Run a study, or judge what its folder has, and print the claims."""
    from kmc.papers import judge, missing, plan_of, planned_lines, run_study

    plan = plan or plan_of(output)
    if dry_run:
        click.echo("\n".join(planned_lines(output, plan, study=name, workers=workers)))
        return
    if judge_only:
        claims = judge(output, progress=not quiet, calibration=calibration)
    else:
        make = workers_of(workers, **cluster)
        say = (lambda text: None) if quiet else (lambda text: click.echo(text, err=True))
        try:
            claims = run_study(
                output,
                plan,
                study=name,
                make_workers=make,
                progress=not quiet,
                report=say,
                calibration=calibration,
            )
        except KeyboardInterrupt:
            click.echo("Interrupted; repeat the command to continue.", err=True)
            sys.exit(INTERRUPTED)
    if not quiet:
        print_claims(claims)
        click.echo(f"\nClaims  {output / 'claims.json'}")
        lacking, steps = missing(output), [f"kmc report {quoted(output)}"]
        if lacking:
            click.echo(f"Not run yet  {'; '.join(lacking)}")
            steps.insert(0, f"kmc study {name} -o {quoted(output)}    runs what is missing")
        click.echo("\n  ".join(["\nNext:", *steps]))


_STYLES = {"reproduced": "green", "rank only": "yellow", "not reproduced": "red"}


def print_claims(claims: list[dict[str, Any]]) -> None:
    """Print the claims with what the runs say, and how many have which verdict."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from kmc.plotting.report.claims_page import calibrated_text, figure_text, verdict_text

    out = console()
    for claim in claims:
        verdict = verdict_text(claim)
        changed = [entry["input"] for entry in claim["inputs"] if entry["carries"]]
        colour = _STYLES.get(claim["verdict"], "dim")
        out.print(Text.assemble((claim["title"], "bold"), "  ", (verdict, colour)))
        table = Table.grid(padding=(0, 2))
        for name, text in (
            ("paper", claim["statement"]),
            ("runs", "; ".join(figure_text(one) for one in claim["figures"])),
            ("changed by", ", ".join(changed)),
            ("calibrated", calibrated_text(claim)),
        ):
            if text:
                table.add_row(Text(name), Text(text))
        out.print(Padding(table, (0, 0, 1, 2)))
    verdicts = [claim["verdict"] for claim in claims]
    counts = ", ".join(f"{verdicts.count(v)} {v}" for v in dict.fromkeys(verdicts))
    out.print(f"{len(claims)} claims: {counts}")

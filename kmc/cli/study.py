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
    workers_option,
)
from kmc.cli.sweeps import cluster_options, workers_of

_TABLE = """
The folder holds the sweep file of each step; what a step needs is skipped where it is done. The
table of claims is printed and written to claims.json: each claim of the paper with what the runs
say, the verdict by a stated rule, and which input changes it.

Exit codes: 0 done (a claim that is not reproduced is a result, not a failure), 2 the input cannot
be used, 130 interrupted; repeat the command to continue.
"""

_OPERANDO = """\
\b
Examples:
  kmc study operando                      sized for 30 minutes on 2 cores; again: goes on
  kmc study operando --full -o study_full --dask tls://10.0.0.1:8786 --dask-tls keys
  kmc study operando --plan reduced -o small
  kmc study operando --judge-only         the claims from what the folder has
  kmc report study_operando               the page of the study
"""

_OTHER = """\
\b
Examples:
  kmc study {name}
  kmc study {name} --judge-only         the claims from what the folder has
  kmc report study_{name}               the page of the study
"""


@click.group()
def study() -> None:
    """Studies of many runs that are laid beside a paper, and its claims."""


def _output(name: str) -> Any:
    return folder_option(
        "-o", "--output", default=Path(f"study_{name}"), help="Folder of the study."
    )


_JUDGE_ONLY = option("--judge-only", is_flag=True, help="Run nothing; judge what the folder has.")


@study.command(
    "operando", short_help="Li and Li-Mg beside the operando paper.", epilog=_OPERANDO + _TABLE
)
@_output("operando")
@option("--full", is_flag=True, help="The same as --plan full: hours.")
@option(
    "--plan",
    type=click.Choice(["reduced", "default", "full"]),
    default="default",
    help="How much is run.",
)
@_JUDGE_ONLY
@workers_option
@cluster_options
@quiet_option
def operando(full: bool, plan: str, **options: Any) -> None:
    """Run the study of Li and Li-Mg, and print the claims of the operando paper.

    Zhao et al., 10.1038/s41467-025-59567-8. Populations of voids and boxes of atoms of Li and of
    Li-Mg with 1, 3, 10 and 20 % Mg, at several currents, stack pressures and temperatures, with one
    input changed at a time, nucleation at the true rates, and convergence.
    """
    _run("operando", "full" if full else plan, **options)


@study.command(
    "interlayer",
    short_help="Lithium on carbon and ZnO beside the interlayer paper.",
    epilog=_OTHER.format(name="interlayer") + _TABLE,
)
@_output("interlayer")
@_JUDGE_ONLY
@workers_option
@cluster_options
@quiet_option
def interlayer(**options: Any) -> None:
    """Run the study of substrates, and print the claims of the interlayer paper.

    Shen et al., 10.1038/s41467-025-60609-4. Aurbach's protocol on ZnO, LiZn and carbon, a map over
    adsorption energy and barrier, islands of ZnO on carbon, dead lithium with and without a
    scaffold, and one input changed at a time: half an hour on 2 cores at most.
    """
    _run("interlayer", "default", **options)


@study.command(
    "cathode",
    short_help="Creeping selenium beside the cathode paper.",
    epilog=_OTHER.format(name="cathode") + _TABLE,
)
@_output("cathode")
@_JUDGE_ONLY
@workers_option
@cluster_options
@quiet_option
def cathode(**options: Any) -> None:
    """Run the study of a selenium cathode, and print the claims of the cathode paper.

    Xiong et al., 10.1038/s41467-024-48174-8. Selenium, LiCoO2 and FeS in a frame of Mo6Se8, and
    selenium with one input changed at a time: half an hour on 2 cores at most.
    """
    _run("cathode", "default", **options)


def _run(
    name: str,
    plan: str,
    *,
    output: Path,
    judge_only: bool,
    workers: int | None,
    quiet: bool,
    **cluster: Any,
) -> None:
    """Run a study, or judge what its folder has, and print the claims."""
    from kmc.papers import judge, run_study

    if judge_only:
        claims = judge(output, progress=not quiet)
    else:
        make = workers_of(workers, **cluster)
        say = (lambda text: None) if quiet else (lambda text: click.echo(text, err=True))
        try:
            claims = run_study(
                output, plan, study=name, make_workers=make, progress=not quiet, report=say
            )
        except KeyboardInterrupt:
            click.echo("Interrupted; repeat the command to continue.", err=True)
            sys.exit(INTERRUPTED)
    if not quiet:
        print_claims(claims)
        click.echo(f"\nClaims  {output / 'claims.json'}")
        click.echo(f"\nNext:\n  kmc report {quoted(output)}")


_STYLES = {"reproduced": "green", "rank only": "yellow", "not reproduced": "red"}


def print_claims(claims: list[dict[str, Any]]) -> None:
    """Print the claims with what the runs say, and how many have which verdict."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from kmc.report.claims_page import figure_text

    out = console()
    for claim in claims:
        verdict = claim["verdict"]
        changed = [entry["input"] for entry in claim["inputs"] if entry["carries"]]
        out.print(
            Text.assemble((claim["title"], "bold"), "  ", (verdict, _STYLES.get(verdict, "dim")))
        )
        table = Table.grid(padding=(0, 2))
        for name, text in (
            ("paper", claim["statement"]),
            ("runs", "; ".join(figure_text(one) for one in claim["figures"])),
            ("changed by", ", ".join(changed)),
        ):
            if text:
                table.add_row(Text(name), Text(text))
        out.print(Padding(table, (0, 0, 1, 2)))
    verdicts = [claim["verdict"] for claim in claims]
    counts = ", ".join(f"{verdicts.count(v)} {v}" for v in dict.fromkeys(verdicts))
    out.print(f"{len(claims)} claims: {counts}")

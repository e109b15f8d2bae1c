"""The tables of docs/dev name files that are there, and what is in them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILE = re.compile(r"`((?:kmc|tests|docs|params|runs|lattices)/[\w./]*|CHANGELOG\.md)`")
NAME = re.compile(r"`([A-Za-z_]\w*)`")


def rows(page: Path) -> list[tuple[str, str]]:
    """First and last cell of the rows of the tables of a page."""
    found = []
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("| ") and "---" not in line:
            cells = [cell.strip() for cell in line.strip("|").split(" | ")]
            found.append((cells[0], cells[-1]))
    return found


PAGES = sorted((ROOT / "docs" / "dev").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_file_that_a_page_names_is_there(page):
    named = FILE.findall(page.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_names_of_a_row_stand_in_the_file_of_the_row(page):
    wrong = []
    for first, last in rows(page):
        files = [ROOT / name for name in FILE.findall(first + last) if name.endswith(".py")]
        if files:
            text = "\n".join(file.read_text(encoding="utf-8") for file in files)
            text += " ".join(str(file) for file in ROOT.glob("kmc/*"))
            wrong += [(first, name) for name in NAME.findall(last) if name not in text]
    assert wrong == []


# --- the guide, followed --------------------------------------------------------------------------

# A process as docs/dev/add_a_process.md adds one, file by file: atoms of the top layer are knocked
# out of the metal at a rate of their own. Every pair is a line of the file and what replaces it.
KNOCK = {
    "tests/reference/naive.py": [
        ("    mg_exchange_Hz: float = 0.0", "    knock_rate_Hz: float = 0.0\n{}"),
        ("        if self.open:\n            listed +=", """        listed += [
            (Event("knock", site, -1, self.occupancy[site], 0.0), self.conditions.knock_rate_Hz)
            for site in self.top_sites()
            if self.occupancy[site] != VACANCY and self.conditions.knock_rate_Hz > 0
        ]
{}"""),
        ("        total += strip + plate + emission + creep + mixing", """{}
        knock = self.conditions.knock_rate_Hz * self.box.sites_per_layer
        total += knock"""),
        ('        queue += [("mix", mixing)] if mixing > 0 else []', """{}
        queue += [("knock", knock)] if knock > 0 else []"""),
        ('        if channel == "mix":', """        if channel == "knock":
            site = self.top_sites()[int(rest / self.conditions.knock_rate_Hz)]
            species = self.occupancy[site]
            return dt, None if species == VACANCY else Event("knock", site, -1, species, dt)
{}"""),
    ],
    "kmc/kernels/tables.py": [
        ("N_COUNTERS = HOPS_END + 5", "{}\nKNOCKS = N_COUNTERS\nN_COUNTERS += 1"),
        ("PLATE, MG_EXCHANGE, PUSH, PUSH_OUT = range(9)", "{}\nKNOCK = 9"),
        ("    mg_exchange: float  # of an Mg", "    knock: float\n{}"),
    ],
    "kmc/kernels/loop.py": [
        ("_STRIP, _PLATE, _EMISSION, _CLOSURE, _MG_EXCHANGE = range(5)", """{}
_KNOCK = 5


@rare
def _knock(geometry, law, channels, state, scratch, rest, log):
    column = min(int(rest / channels.knock), geometry.sites_per_layer - 1)
    site = column * geometry.height + geometry.walls + geometry.n_layers - 1
    species = species_of(state.site_state[site])
    if species == t.VACANCY:
        return
    exchange(geometry, law, channels, state, scratch, site, np.int64(t.VACANCY))
    state.counters[t.KNOCKS] += 1
    record(geometry, log, state, np.int64(t.KNOCK), site, np.int64(-1), species)"""),
        (
            "    return strip, plate, channels.emission, creep, mixing",
            "{}, channels.knock * geometry.sites_per_layer",
        ),
        ("    elif process == _STRIP:", """    elif process == _KNOCK:
        _knock(geometry, law, channels, state, scratch, rest, log)
{}"""),
    ],
    "kmc/model/electrode.py": [
        ("    superbasins: bool = False", "    knock_rate_Hz: float = 0.0\n{}"),
    ],
    "kmc/model/rate_tables.py": [
        (
            "        mg_exchange=0.0,  # `Engine.set_mixing`",
            "{}\n        knock=model.knock_rate_Hz / model.unit_Hz,",
        ),
    ],
    "kmc/model/processes.py": [
        ('    Process("push", "pushes"', """\
    Process("knock", "knocks", t.KNOCK, "knocks", t.KNOCKS, "Atoms knocked out, so far", 1),
{}"""),
    ],
    "kmc/runfile/sections.py": [
        (
            "    stack_pressure_MPa: Annotated[Number, Field(ge=0, le=1000)] = 0.0",
            "    knock_rate_Hz: Annotated[Number, Field(ge=0)] = 0.0\n"
            '    \"\"\"rate at which an atom of the top layer is knocked out\"\"\"\n{}',
        ),
    ],
    "tests/reference/paired_engines.py": [
        ("    mg_exchange: bool = False\n", "    knock_rate_Hz: float = 0.0\n{}"),
        ("            exchange=self.exchange,\n            interphase=", """\
            knock_rate_Hz=self.knock_rate_Hz,
{}"""),
        ("            exchange=self.exchange,\n            spares=", """\
            knock_rate_Hz=self.knock_rate_Hz,
{}"""),
        ('    "mg_exchange": "mix",', '{}\n    "knock": "knock",'),
    ],
}  # fmt: skip
FOLLOWED = """
import pytest
import kmc
from dataclasses import replace
from kmc.errors import InputError
from kmc.model import rate_tables
from paired_engines import PairedEngines, Setup, random_occupancy
import numpy as np

# Without a vacancy nothing but a knock can happen first; then hops compete with it.
setup = Setup(knock_rate_Hz=1e13)
occupancy = random_occupancy(setup.n_sites, np.random.default_rng(1))
paired = PairedEngines(setup, occupancy, 2, attempts=1000)
assert paired.attempt().kind == "knock"
kinds = paired.follow(events=25)
assert kinds["knock"] > 1 and kinds["hop"] > 1, kinds
paired.compare_state()

model = replace(setup.model(), superbasins=True)
with pytest.raises(InputError, match="no process with a rate in knock"):
    rate_tables.channels(model)

# Strips and emissions are slower by more than ten orders of magnitude.
run = kmc.run(
    {
        "system": {"size": [4, 4, 8]},
        "conditions": {"current_density_mA_cm2": 0.5, "knock_rate_Hz": 1e15},
        "stop": {"events": 10},
        "random": {"seed": 1},
    },
    output="knocked.h5",
    progress=False,
)
assert run.samples.knocks[-1] > 0
assert kmc.verify("knocked.h5").passed
"""


def test_the_guide_names_the_files_that_a_process_changes():
    page = (ROOT / "docs" / "dev" / "add_a_process.md").read_text(encoding="utf-8")
    table = page.partition("## Files to change")[2].partition("\n## ")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| `")]
    files = {FILE.findall(row[0])[0] for row in rows if "only if" not in row[1]}
    tests = {name for name in files if name.startswith("tests/") and "reference" not in name}
    assert files - tests == {*KNOCK, "docs/model/events.md"}


@pytest.mark.slow
def test_a_process_added_by_the_guide_fires_event_for_event_with_the_oracle(tmp_path):
    """In a copy, uncompiled: the guide's steps and no others make a process of every part."""
    for folder in ("kmc", "lattices", "params", "runs", "tests/reference"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name, changes in KNOCK.items():
        text = (tmp_path / name).read_text(encoding="utf-8")
        for line, changed in changes:
            assert text.count(line) == 1, f"{name}: {line}"
            text = text.replace(line, changed.replace("{}", line))
        (tmp_path / name).write_text(text, encoding="utf-8")
    paths = [str(tmp_path), str(tmp_path / "tests" / "reference")]
    environment = {"PYTHONPATH": os.pathsep.join(paths), "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, "-c", FOLLOWED],
        cwd=tmp_path,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr

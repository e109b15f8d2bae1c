"""The pages in docs/ say what the code does.

``python tests/docs/test_docs.py`` writes the tables of docs/trajectory.md anew from the schema.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from box_schema import SCHEMA
from PIL import Image

import kmc
from kmc.cli import main
from kmc.files.table_file import SCHEMA_VERSION
from kmc.model.dft_check import check_rows
from kmc.model.hamiltonian import LI, MG, calibrate
from kmc.model.lattice import Lattice
from kmc.model.model import Model
from kmc.model.parameters import load_parameters

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = (
    *sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("*.md")),
    *sorted(path.relative_to(ROOT).as_posix() for path in DOCS.rglob("*.md")),
)
MARK = "<!-- The tables are made from kmc/files/schema.py: python tests/docs/test_docs.py -->"
TYPES = {"<f8": "float64", "<i8": "int64", "<i4": "int32", "|u1": "uint8"}
TITLES = {
    "samples": "Samples",
    "frames": "Frames",
    "lattice": "Lattice",
    "record": "Record",
    "checkpoint": "Checkpoint",
}


# --- docs/trajectory.md ---------------------------------------------------------------------------


CLASS = re.compile("/samples/hops_(Li|Li_near_Mg|Mg)_(L1|L2|deep)_(up|down)$")
CLASSES = (
    "| `/samples/hops_X_Y_Z` | Of `hops_X` (X: `Li`, `Li_near_Mg`, `Mg`), "
    "those between layer Y (`L1`, `L2`, or `deep`: any above, or no interface) and a higher one, "
    "Z: `up` or `down`, so far |"
)


def sample_row(entry) -> str:
    """Name, unit and meaning of a column of samples; the heading has type and shape."""
    unit = f", {entry.unit}" if entry.unit != "1" else ""
    return f"| `{entry.path}`{unit} | {entry.description} |"


def sample_tables(entries) -> list[str]:
    """Columns of samples, one table a type; the classes of hops have one row."""
    parts = []
    for dtype in dict.fromkeys(entry.dtype for entry in entries):
        rows = [
            CLASSES if CLASS.match(entry.path) else sample_row(entry)
            for entry in entries
            if entry.dtype == dtype
        ]
        head = [f"### {TYPES[dtype]}[sample]", "", "| | meaning |", "|---|---|"]
        parts += [*head, *dict.fromkeys(rows), ""]
    return parts


def schema_tables() -> str:
    """The schema as Markdown, one table a group, and one a type of the samples."""
    groups: dict[str, list] = {}
    for entry in SCHEMA:
        groups.setdefault(entry.path.split("/")[1], []).append(entry)
    parts = []
    for group, entries in groups.items():
        parts += [f"## {TITLES[group]}", ""]
        if group == "samples":
            parts += sample_tables(entries)
            continue
        parts += ["| | type | meaning |", "|---|---|---|"]
        for entry in entries:
            kind = f"{TYPES[entry.dtype]}[{entry.shape}]"
            kind += f", {entry.unit}" if entry.unit != "1" else ""
            parts.append(f"| `{entry.path}` | {kind} | {entry.description} |")
        parts.append("")
    return "\n".join(parts)


def page_with_tables() -> str:
    head, mark, _ = (DOCS / "trajectory.md").read_text(encoding="utf-8").partition(MARK)
    assert mark
    note = "Type, shape and unit; counts and shares have the unit 1."
    return f"{head}{mark}\n\n{note}\n\n{schema_tables()}"


def test_the_schema_page_is_the_schema():
    text = (DOCS / "trajectory.md").read_text(encoding="utf-8")
    assert text == page_with_tables(), "run: python tests/docs/test_docs.py"
    assert f"schema {SCHEMA_VERSION}" in text


def test_the_example_with_plain_h5py_runs(tmp_path):
    overrides = {"system.size": [8, 8, 12], "stop.capacity_monolayers": 0.5}
    t = kmc.run("strip_li", overrides, output=tmp_path / "strip_li.h5", progress=False)
    (code,) = re.findall(r"```python\n(.*?)```", page_with_tables(), flags=re.DOTALL)
    code += "\nprint(contact[-1], unit, len(voids_by_height), ratio, finished, why, sep='|')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    last = {name: t.samples[name][-1] for name in t.samples}
    assert done.stdout.strip().split("|") == [
        str(last["contact_fraction"]),
        "s",
        str(last["vacancies"]),
        str(t.acceleration["max_hops_per_strip_per_site"]),
        "True",
        t.stop_reason,
    ]


# --- docs/model -----------------------------------------------------------------------------------

MODEL = "\n".join(
    path.read_text(encoding="utf-8") for path in sorted((DOCS / "model").glob("*.md"))
)


def cells(label: str) -> list[str]:
    """Cells of the row of a table in docs/model/ that starts with this label."""
    (line,) = [line for line in MODEL.splitlines() if line.startswith(f"| {label}")]
    return [cell.strip().replace("−", "-") for cell in line.strip("| ").split("|")]


@pytest.mark.parametrize("face", ["bcc_100", "bcc_110", "bcc_111"])
def test_calibrated_energies(face):
    box = Lattice(face, (6, 6), 12, "interface", 3.506)
    h = calibrate(load_parameters("limg_li2s"), box)
    energies = [h.phi[LI, 1], h.phi[LI, 2], h.phi[MG, 1], h.chi]
    n1, n2 = h.n_neighbours[:, 1]
    assert cells(face) == [face, f"{n1}, {n2}", *(f"{e / 1e6:.4f}" for e in energies)]
    bonds = re.search(r"ε1 = (\S+), ε2 = (\S+); Li–Mg (\S+), (\S+)\)", MODEL).groups()
    expected = (h.bond1[LI, LI], h.bond2[LI, LI], h.bond1[LI, MG], h.bond2[LI, MG])
    assert [float(text) for text in bonds] == pytest.approx([e / 1e6 for e in expected], abs=6e-5)


def test_known_misses():
    rows = {row.name: row for row in check_rows(load_parameters("limg_li2s"))}
    angle = rows["contact angle of Li on Li2S"]
    assert cells("contact angle")[1:3] == [f"{angle.dft}°", f"{angle.model:.1f}°"]
    adhesion = rows["work of adhesion of Li on Li2S"]
    assert cells("work of adhesion")[1:3] == [f"{adhesion.dft} J/m²", f"{adhesion.model:.3f} J/m²"]
    assert "γ = 0.296 J/m²; the DFT numbers imply 0.416" in adhesion.note
    assert "0.296" in cells("work of adhesion")[3]
    far = rows["L1 vacancy 5.0 Å from Mg, filled by Li"]
    assert cells("L1 vacancy far from Mg, filled by Li |")[1:3] == [
        f"{far.dft:+} eV",
        f"{far.model:+.2f} eV",
    ]
    assert "8.4e12 Hz would meet it" in rows["D of Mg at 25 °C"].note
    assert cells("attempt frequency")[1:3] == ["2.51e12 Hz", "2.6e12 Hz"]
    missed = [row.name for row in rows.values() if row.ok is False]
    assert missed == ["D of Mg at 25 °C", "D of Mg at 60 °C", adhesion.name, angle.name]


@pytest.mark.parametrize(("thickness_um", "stated"), [(100.0, 5e2), (1.0, 5.0)])
def test_supersaturation(thickness_um, stated):
    """S − 1 = j L Ω/(e D_v c_eq), here from the rates of the model.

    With c vacancies a site, c k_abs per top-layer site leave and k_abs exp(−E_f/kT) arrive; in the
    steady state the difference is the strip rate of a site.
    """
    box = Lattice("bcc_100", (6, 6), 12, "interface", 3.506)
    model = Model(box, load_parameters("li_li2s"), 298.15, 0.5, thickness_um)
    excess = model.strip_rate_per_site_Hz / model.emission_rate_per_site_Hz
    assert excess == pytest.approx(stated, rel=0.05)


# --- all pages ------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)|src=\"([^\"]+)\"", text)
    for target in (a or b for a, b in targets):
        if not target.startswith("https://"):
            assert ((ROOT / page).parent / target).exists(), target


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])
def test_named_files_and_modules_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for path in re.findall(r"`((?:kmc|tests|docs|benchmarks)/[\w/]+\.\w+)`", text):
        assert (ROOT / path).exists(), path
    for name in re.findall(r"`kmc\.([a-z_.]+)`", text):
        first, *rest = name.split(".")
        if not (ROOT / "kmc" / first).is_dir():
            assert first in (*kmc.__all__, "__all__", "errors"), name
        elif rest:
            place = ROOT / "kmc" / first / rest[0]
            assert place.is_dir() or place.with_suffix(".py").exists(), name


def test_commands_of_the_table_of_questions_are_commands():
    text = (DOCS / "commands.md").read_text(encoding="utf-8")
    found = [shlex.split(line) for line in re.findall(r"`(kmc [^`]+)`", text)]
    assert len(found) > 15
    for words in found:
        command, arguments = main, words[1:]
        while isinstance(command, click.Group) and arguments[0] != "--help":
            command, arguments = command.commands[arguments[0]], arguments[1:]
        if arguments != ["--help"]:
            command.make_parser(
                click.Context(command, help_option_names=["-h", "--help"])
            ).parse_args(arguments)


@pytest.mark.parametrize("page", PAGES)
def test_pages_name_no_machine(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert not re.search(r"/(work|root|home|tmp)/", text)


def test_the_picture_of_the_architecture_is_that_of_the_code():
    path = DOCS / "dev" / "architecture.py"
    spec = importlib.util.spec_from_file_location("architecture", path)
    architecture = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(architecture)
    with Image.open(path.with_suffix(".png")) as picture:
        drawn = picture.info["Description"]
    assert drawn == architecture.description(), "run: python docs/dev/architecture.py"


def test_pictures_are_small():
    for path in DOCS.rglob("*.png"):
        limit = 150_000 if path.parent.name == "gallery" else 300_000
        assert path.stat().st_size < limit, path.name
    assert {path.stem for path in (DOCS / "gallery").iterdir()} == set(
        re.findall(r'src="gallery/(\w+)\.png"', (DOCS / "gallery.md").read_text(encoding="utf-8"))
    )


def test_the_changelog_has_the_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{kmc.__version__}]" in text


if __name__ == "__main__":
    (DOCS / "trajectory.md").write_text(page_with_tables(), encoding="utf-8")


def test_the_documentation_stays_short():
    """At most 28 000 words, without the pages of studies, which are made from their runs."""
    pages = [ROOT / "README.md", *(p for p in DOCS.rglob("*.md") if "study_" not in p.name)]
    assert sum(len(page.read_text(encoding="utf-8").split()) for page in pages) <= 28_000

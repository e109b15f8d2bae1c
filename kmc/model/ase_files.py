"""Structures from files: which image of a file, whether its calculation is converged, and the
configurations that `kmc params from-ase` keeps in its folder.
"""

import io
import os
import re
import stat
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from kmc.common.json_files import read_text
from kmc.errors import InputError, KmcWarning, optional_library

# Steps of one relaxation, of which the last is meant; anything else may be a collection.
_OF_ONE_RELAXATION = ("vasp-out", "vasp-xml", "espresso-out", "aims-output")
# A force f on an atom of stiffness k leaves f²/2k: 1 meV and 20 meV at 1 eV/Å², the latter being
# the difference that `kmc params check` calls a miss.
WARNED_eV_A, REFUSED_eV_A = 0.05, 0.2
_MAX_KEPT_BYTES = 200 * 2**20


class DamagedFileError(InputError):
    """A file of a folder of configurations that is not as kmc wrote it."""


def read_structure(path: str | Path, whose: str = "") -> Any:
    """Atoms of a file, by ASE; ``FILE@5`` is its sixth image, ``FILE@-1`` its last.

    Raises `InputError`: ASE is not installed or does not read it, or the file holds several
    structures that are not the steps of one relaxation.
    """
    with optional_library("ASE", "ase"):
        from ase.io import read
        from ase.io.formats import filetype
    path, image = Path(path), None
    if (place := re.fullmatch(r"(.+)@(-?\d+)", path.name)) and not path.exists():
        path, image = path.with_name(place[1]), int(place[2])
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would be waited for
            raise OSError("it is not a regular file")
        images: Any = read(str(path), index=":")
        several, form = len(images) > 1, filetype(str(path))
        if image is None and several and form in _OF_ONE_RELAXATION:
            image = len(images) - 1
            text = f"{path}{whose} holds {len(images)} steps, of which the last is taken"
            warnings.warn(f"{text}; {path.name}@0 is the first", KmcWarning, stacklevel=3)
        if image is not None and not -len(images) <= image < len(images):
            raise IndexError(f"it holds {len(images)} structures, of which none is @{image}")
        chosen = images[image or 0]
        if steps := electronic_steps(path, form, (image or 0) % len(images)):
            chosen.info["kmc_electronic"] = steps
    except Exception as problem:  # the readers of each format raise errors of their own
        reason = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
        if type(problem).__name__ == "UnknownFileTypeError":
            reason = "neither its name nor its content is that of a format of ASE"
        raise InputError(
            f"{path}{whose} cannot be read: {reason.splitlines()[0]}",
            advice="Give a file that ASE reads: OUTCAR, vasprun.xml, POSCAR, extended XYZ.",
        ) from None
    if image is None and several:
        raise InputError(
            f"{path}{whose} holds {len(images)} structures",
            advice=f"Name one: {path.name}@0 is the first, {path.name}@-1 the last.",
        )
    chosen.info["kmc_file"] = str(path)
    return chosen


def electronic_steps(path: Path, form: str, image: int) -> tuple[int, int] | None:
    """Electronic steps of an image and how many it may have, where VASP came to the last.

    That of a loop may have converged it: old versions of VASP write so in either case.
    """
    if form not in ("vasp-out", "vasp-xml"):
        return None
    from ase.io.formats import open_with_compression

    # Of each calculation: marks of its begin and its steps, and NELM where it stands first; that of
    # response functions comes later.
    loop, limit, counts = re.compile(r"Iteration\s+(\d+)\("), 0, [0]
    allowed = re.compile(r"\bNELM\s*=\s*(\d+)|\"NELM\">\s*(\d+)")
    with open_with_compression(str(path), "r") as file:
        for line in file:
            if "</calculation>" in line or ((m := loop.search(line)) and int(m[1]) > len(counts)):
                counts.append(0)
            counts[-1] += "<scstep>" in line or "Iteration" in line
            if not limit and (m := allowed.search(line)):
                limit = int(m[1] or m[2])
    steps = counts[image] if image < len(counts) else 0
    return (steps, limit) if limit and steps >= limit else None


def largest_force(atoms: Any) -> float | None:
    """Largest force on an atom in eV/Å, along directions that are not fixed; None without forces.

    Nothing is computed: only what a calculation left is read.
    """
    results = getattr(getattr(atoms, "calc", None), "results", None) or {}
    if (forces := results.get("forces")) is None:
        return None
    forces = np.array(forces, dtype=float)
    for constraint in atoms.constraints:
        constraint.adjust_forces(atoms, forces)
    return float(np.sqrt((forces**2).sum(axis=1).max()))


def check_converged(name: str, atoms: Any, allow: bool = False) -> None:
    """Warn of a calculation with forces or too few electronic steps, and refuse one far from rest.

    - `allow`: warn only.
    """
    file, problems = of_file(atoms), []
    if (force := largest_force(atoms)) is not None and not force <= WARNED_eV_A:
        text = f"configuration {name!r}{file} has forces of up to {force:.3g} eV/Å"
        advice = "Is it relaxed? Of an OUTCAR a CONTCAR beside it says which atoms were fixed."
        problems.append((text, advice, not force <= REFUSED_eV_A))
    if steps := getattr(atoms, "info", {}).get("kmc_electronic"):
        text = f"configuration {name!r}{file} ended after {steps[0]} of {steps[1]} electronic steps"
        problems.append((text, "Its energy is not converged: raise NELM.", True))
    for text, advice, refused in problems:
        if refused and not allow:
            limit = f"Forces above {REFUSED_eV_A:g} eV/Å and unconverged electrons are refused"
            more = "with --allow-unconverged (allow_unconverged=True) they are only warned of"
            raise InputError(text, advice=f"{advice} {limit}; {more}.")
        warnings.warn(f"{text}. {advice}", KmcWarning, stacklevel=3)


def check_bcc(atoms: Any) -> None:
    """Refuse a bulk whose atoms have not eight first and six second neighbours.

    Raises `InputError`: it is fcc or hcp, say, for which the model has no sites.
    """
    from ase.neighborlist import neighbor_list

    edge = (2 * atoms.get_volume() / len(atoms)) ** (1 / 3)
    i, away = neighbor_list("id", atoms, 2.0 * edge)
    shells = [np.sort(away[i == atom])[:15] for atom in range(len(atoms))]
    # In bcc the ninth neighbour is 15 % beyond the eighth, the fifteenth 41 % beyond the 14th.
    steps = np.array([(d[8] / d[7], d[14] / d[13]) for d in shells if len(d) > 14])
    ninth, fifteenth = np.median(steps, axis=0) if len(steps) else (0.0, 0.0)
    if ninth < 1.07 or fifteenth < 1.2:
        raise InputError(
            f"configuration 'bulk' is not bcc: its ninth neighbour is {ninth:.2f} times as far as "
            f"the eighth (1.15 in bcc), the fifteenth {fifteenth:.2f} times the fourteenth (1.41)",
            advice="The lattice of kmc is bcc: give the bcc phase of the metal.",
        )


def of_file(atoms: Any) -> str:
    """The file of a configuration in brackets, where it was read from one."""
    file = getattr(atoms, "info", {}).get("kmc_file")
    return f" ({file})" if file else ""


def energy_keys(atoms: Any) -> str:
    """Names of what may be energies in a file, for the message that it has none by its name."""
    info = getattr(atoms, "info", {})
    names = [name for name in info if "energ" in str(name).lower()]
    return f"; the file has {', '.join(map(str, names))}: name it energy" if names else ""


def read_kept(path: Path) -> list[Any]:
    """Images of a configuration that kmc kept in a folder, with their constraints.

    Raises `InputError`: it is no file that kmc wrote.
    """
    from ase.io import read

    from kmc.model.ase_configurations import held_axes, hold

    try:
        text = read_text(path, max_bytes=_MAX_KEPT_BYTES)
        lines = text.splitlines()
        # ASE makes room for as many atoms as the first line says.
        if not 0 < int(lines[0] if lines else 0) < len(lines):
            raise ValueError("it is cut off")
        images: Any = read(io.StringIO(text), index=":", format="extxyz")
        if not images or not all(np.isfinite(image.positions).all() for image in images):
            raise ValueError("its positions are not finite")
        for image in images:
            hold(image, held_axes(image))
    except Exception as problem:  # as damaged as a file can be
        raise damaged(path, problem) from None
    return images


def damaged(path: Path, problem: object) -> DamagedFileError:
    """The error of a file of such a folder that cannot be used."""
    reason = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
    return DamagedFileError(
        f"{path} cannot be read: {reason.splitlines()[0]}",
        advice="Remove it, and the same command computes it again.",
    )

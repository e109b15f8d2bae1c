"""Parameter sets: every number with its unit, its source and a note.

A parameter file (`params/*.toml`, or a file of the user) looks like this::

    name = "li_li2s"
    description = "…"
    species = ["Li"]

    [sources.S4]
    citation = "…"
    doi = "10.1038/s41467-025-59567-8"
    title = "…"

    [quantities.formation_energy_bulk_eV]
    value = 0.50
    unit = "eV"          # must agree with the end of the key
    source = "S4"        # one key of [sources] or a list of them
    note = "…"           # where exactly, and what to know about it
    assumed = false      # true: no source gives this value; the note says why it was chosen

`model.quantities` lists the keys that a file may hold. With ``base = "li_li2s"`` at its head a
file holds only the differences: it inherits the inputs of that set, not its reference values.
"""

import math
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from kmc.common import catalogue, validation
from kmc.common.metals import METALS, VALENCES, stored_key
from kmc.common.units import same_unit, unit_of
from kmc.errors import InputError
from kmc.model.quantities import QUANTITIES, RETIRED, UNSTATED

CATHODES = (("Se",), ("Li", "Se"), ("Fe", "S"), ("Li", "Co", "O"), ("Mo", "Se"))


def _source_keys(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise validation.refuse("must be a key of [sources] or a list of keys")


def _species(value: Any) -> tuple[str, ...]:
    if isinstance(value, list | tuple):
        metal, *others = value or [None]
        if tuple(value) in CATHODES or (metal in METALS and others in ([], ["Mg"])):
            return tuple(value)
    known = f"a bcc metal of an electrode ({', '.join(METALS)})"
    advice = f'allowed: {known}, alone or with "Mg", such as ["Li", "Mg"]'
    raise validation.refuse("is not a set of species kmc knows", advice)


def _doi(value: Any) -> str:
    if isinstance(value, str) and value.startswith("10.") and "/" in value:
        return value
    raise validation.refuse("is not a DOI", 'write it bare, like "10.1038/s41467-025-59567-8"')


class Source(validation.Checked):
    """A reference."""

    citation: str  # authors, journal, volume, year: enough to find it without the DOI
    title: str
    doi: Annotated[str, BeforeValidator(_doi)]  # bare, without ``https://doi.org/``
    # authors, journal, year: for `bibtex`; authors joined by " and "
    authors: str = ""
    journal: str = ""
    year: int | None = None

    @property
    def url(self) -> str:
        return f"https://doi.org/{self.doi}"

    def bibtex(self, key: str) -> str:
        """The reference as a BibTeX entry."""
        fields = {
            "author": self.authors,
            "title": f"{{{self.title}}}",
            "journal": self.journal,
            "year": str(self.year or ""),
            "doi": self.doi,
            "url": self.url,
        }
        body = "".join(f"  {name} = {{{text}}},\n" for name, text in fields.items() if text)
        return f"@article{{{key},\n{body}}}"


class Quantity(validation.Checked):
    """One number with its unit, source and note."""

    value: validation.Number
    unit: str
    # keys of the set's sources; empty only where the value is assumed
    source: Annotated[tuple[str, ...], BeforeValidator(_source_keys)] = ()
    # where in the source it stands, and what to know about it
    note: Annotated[str, AfterValidator(lambda text: " ".join(text.split()))]
    assumed: bool = False  # no source gives this value; the note says why it was chosen
    # it was typed from memory and not looked up again; summaries of runs say so
    from_memory: bool = False

    def __str__(self) -> str:
        unit = "" if self.unit == "1" else f" {self.unit}"
        return f"{self.value:g}".replace("e+", "e") + unit

    def __repr__(self) -> str:
        origin = "assumed" if self.assumed else ", ".join(self.source)
        return f"{self}" + (f" ({origin})" if origin else "")

    def __float__(self) -> float:
        return float(self.value)


class ParameterSet(validation.Checked):
    """A named set of quantities for one metal on one electrolyte."""

    name: str
    description: str
    # the metal, ``("Li",)`` or another of `kmc.common.metals`, and ``"Mg"`` for an alloy
    species: Annotated[tuple[str, ...], BeforeValidator(_species)]
    base: str = ""  # the set that its other inputs are taken from; empty without one
    sources: dict[str, Source] = Field(default_factory=dict)
    quantities: dict[str, Quantity]
    _origin: str = PrivateAttr("")

    @property
    def metal(self) -> str:
        """Symbol of the metal that is stripped."""
        return self.species[0]

    @property
    def valence(self) -> int:
        """Electrons that an atom of the metal leaves when it is stripped."""
        return VALENCES[self.metal]

    @property
    def origin(self) -> str:
        """Path of the file it came from; empty where it was made in Python."""
        return self._origin

    @model_validator(mode="after")
    def _check_quantities(self, info: ValidationInfo) -> "ParameterSet":
        where = (info.context or {}).get("source", f"parameter set {self.name!r}")
        problems = []

        def add(message: str, advice: str) -> None:
            problems.append(validation.Problem(message, advice))

        for key, quantity in self.quantities.items():
            place = f"[quantities.{key}] in {where}"
            if key not in QUANTITIES:
                advice = f"{catalogue.nearest(key, QUANTITIES)}Known: {', '.join(QUANTITIES)}."
                add(f"{place}: {key!r} is not a quantity kmc knows", advice)
                continue
            meaning, unit = QUANTITIES[key], unit_of(key)
            # The unit is in the key too, so that a number copied in another one is noticed.
            if not same_unit(quantity.unit, unit):
                advice = f'Give the value in {unit} and write unit = "{unit}".'
                add(f'unit = "{quantity.unit}" {place} disagrees with the key', advice)
            if not meaning.allows(quantity.value):
                advice = f"Allowed: {meaning.allowed(unit)}."
                add(f"value = {validation.show(quantity.value)} {place} is out of range", advice)
            for source in quantity.source:
                if source not in self.sources:
                    listed = ", ".join(self.sources) or "none"
                    advice = f"{catalogue.nearest(source, self.sources)}"
                    advice += f"Sources of the file: {listed}."
                    add(f'source = "{source}" {place} is not in [sources]', advice)
            if not quantity.source and not quantity.assumed:
                advice = "Name a key of [sources], or write assumed = true with the reason in "
                add(f"{place} has no source", f"{advice}the note.")
            if not quantity.note:
                advice = "Give the place in the source, or the reason for the assumption."
                add(f"{place} has an empty note", advice)
        used = {key for quantity in self.quantities.values() for key in quantity.source}
        for key in self.sources:
            if key not in used:
                add(f"[sources.{key}] in {where} is used by no quantity", "Name it or remove it.")
        validation.raise_problems(problems, where)
        return self

    def value(self, key: str) -> float:
        """Value of a quantity.

        Raises `InputError`: the set has no such quantity; the message names the nearest one.
        """
        return self[key].value

    @property
    def entropy_factor(self) -> float:
        """exp(S_f/k) by which lone vacancies are more frequent than their energy says; 1 without.

        The metal's flux at a given S is ρ D_v c_eq with c_eq = exp(S_f/k) exp(−E_f/kT). Clusters
        have no such factor: a void is no softened lattice, and at S = 1 a large one is in
        equilibrium with the kinks of the metal whatever the entropy of a lone vacancy.
        """
        key = "formation_entropy_bulk_k"
        return math.exp(self.value(key)) if self.has(key) else 1.0

    def has(self, key: str) -> bool:
        return key in self.quantities

    def __contains__(self, key: object) -> bool:
        return key in self.quantities

    def __getitem__(self, key: str) -> Quantity:
        try:
            return self.quantities[stored_key(str(key), self.metal)]
        except KeyError:
            raise InputError(
                f"parameter set {self.name!r} has no {key!r}",
                advice=f"{catalogue.nearest(key, self.quantities)}"
                f"It has: {', '.join(self.quantities)}.",
            ) from None

    def resolved(self) -> dict[str, dict[str, Any]]:
        """Every quantity as plain, JSON-able data: key → value, unit, source, note, assumed.

        ``from_memory`` stands where it is true alone.
        """
        return {
            key: {
                **quantity.model_dump(exclude=None if quantity.from_memory else {"from_memory"}),
                "source": list(quantity.source),
            }
            for key, quantity in self.quantities.items()
        }

    def cited_by(self, source: str) -> list[str]:
        """Keys of the quantities that cite a source."""
        return [key for key, quantity in self.quantities.items() if source in quantity.source]


def load_parameters(
    name_or_path: str | Path,
    overrides: Mapping[str, float] | None = None,
    *,
    where: Callable[[str], str] | None = None,
    shown: Callable[[str, Any], str] | None = None,
) -> ParameterSet:
    """Read and check a parameter set.

    - `name_or_path`: a shipped set (``li_li2s``) or the path of a parameter file.
    - `overrides`: values that replace those of the file: quantities of the set, in its units.
    - `where`, `shown`: for messages, where an override came from (key → "in section [parameters] of
      my.toml") and how to show it (key, value → "barrier_Li_eV = 0.1 in section [parameters] of
      my.toml").

    Raises `InputError`: no such set, an invalid file, or an override of a quantity that the set
    does not have.
    """
    path = catalogue.locate("params", name_or_path)
    tables = catalogue.read_toml(path)
    species, given = tables.get("species"), tables.get("quantities")
    metal = species[0] if isinstance(species, list) and species else None
    if metal in METALS and isinstance(given, dict):
        # The code has one name for a quantity of every metal; a file may have that of its own.
        names = {key: stored_key(key, metal) for key in given}
        for key, name in names.items():
            if key != name and name in given:
                advice = "Remove one."
                raise InputError(f"{key} and {name} in {path} are one quantity", advice=advice)
        tables = {**tables, "quantities": {names[key]: value for key, value in given.items()}}
    tables = _with_base(_without_retired(tables, path), path, metal)
    overrides = {
        key: value
        for key, value in (overrides or {}).items()
        if not (key in RETIRED and _warn(key, where(key) if where else "in the overrides"))
    }
    try:
        parameters = ParameterSet.model_validate(tables, context={"source": str(path)})
    except ValidationError as error:
        validation.raise_problems(_problems(error, tables, path), str(path))
        raise
    parameters._origin = str(path)
    return _override(parameters, overrides, where, shown) if overrides else parameters


def _warn(key: str, place: str) -> bool:
    """Say that a quantity of an earlier version is left out; always True."""
    warnings.warn(f"{key} {place} is ignored: {RETIRED[key]}", UserWarning, stacklevel=2)
    return True


def _without_retired(tables: dict, path: Path) -> dict:
    """A file's tables without quantities of earlier versions, and without sources only they had."""
    quantities = tables.get("quantities")
    if not isinstance(quantities, dict) or not RETIRED.keys() & quantities.keys():
        return tables
    kept: dict[str, Any] = {}
    retired: dict[str, Any] = {}
    for key, quantity in quantities.items():
        (retired if key in RETIRED else kept)[key] = quantity

    def cited(some: dict) -> set[str]:
        listed = (q.get("source", []) for q in some.values() if isinstance(q, dict))
        return {key for s in listed for key in ([s] if isinstance(s, str) else s)}

    for key in retired:
        _warn(key, f"in {path}")
    # A source that nothing cites any more would be refused.
    gone = cited(retired) - cited(kept)
    sources = {k: s for k, s in tables.get("sources", {}).items() if k not in gone}
    return {**tables, "quantities": kept, "sources": sources}


def _with_base(tables: dict, path: Path, metal: Any) -> dict:
    """Tables of a file, completed with the inputs of its base.

    Reference values of the base are not inherited: they belong to its own interface.
    """
    base = tables.get("base")
    quantities, own_sources = (tables.get(key, {}) for key in ("quantities", "sources"))
    if not (
        isinstance(base, str) and isinstance(quantities, dict) and isinstance(own_sources, dict)
    ):
        return tables  # without a base, or with errors that are reported later
    beside = path.parent / base
    base_path = catalogue.locate(
        "params", beside if base.endswith(".toml") and beside.is_file() else base
    )
    if "base" in catalogue.read_toml(base_path):
        raise InputError(
            f"base = {validation.show(base)} in {path} has a base itself",
            advice="Name a set without a base.",
        )
    below = load_parameters(base_path)
    if metal in METALS and below.metal in METALS and metal != below.metal:
        raise InputError(
            f"base = {validation.show(base)} in {path} is of {below.metal}, and the set of {metal}",
            advice="Name a base of the same metal, or give every quantity in the file.",
        )
    inputs = {k: q for k, q in below.resolved().items() if QUANTITIES[k].role == "input"}
    used = {key for k, q in inputs.items() if k not in quantities for key in q["source"]}
    sources = {key: source.model_dump() for key, source in below.sources.items() if key in used}
    return {**tables, "sources": sources | own_sources, "quantities": inputs | quantities}


def _override(
    parameters: ParameterSet,
    overrides: Mapping[str, Any],
    where: Callable[[str], str] | None,
    shown: Callable[[str, Any], str] | None,
) -> ParameterSet:
    where = where or (lambda key: "in the overrides")
    shown = shown or (lambda key, value: f"{key} = {validation.show(value)} {where(key)}")
    quantities, problems = dict(parameters.quantities), []
    # A calibration varies the entropy of sets that leave it at 0, too.
    before = dict(UNSTATED if "formation_energy_bulk_eV" in quantities else {})
    before |= {key: quantity.value for key, quantity in quantities.items()}
    for name, given in overrides.items():
        key = stored_key(name, parameters.metal)
        if key not in before:
            message = f"{name!r} {where(name)} is not a quantity of parameter set "
            advice = f"{catalogue.nearest(name, quantities)}It has: {', '.join(quantities)}."
            problems.append(validation.Problem(f"{message}{parameters.name!r}", advice))
            continue
        value, problem = validation.number_of(given)
        if problem:
            problems.append(validation.Problem(f"{shown(name, given)} {problem}"))
        elif not QUANTITIES[key].allows(value):
            advice = f"Allowed: {QUANTITIES[key].allowed(unit_of(key))}."
            problems.append(validation.Problem(f"{shown(name, given)} is out of range", advice))
        else:
            quantities[key] = Quantity(
                value=value,
                unit=quantities[key].unit if key in quantities else unit_of(key),
                source=(),
                note=f"overridden by the run file (the set has {before[key]:g})",
                assumed=True,
            )
    validation.raise_problems(problems, "the override of parameters")
    changed = parameters.model_copy(update={"quantities": quantities})
    changed._origin = parameters.origin
    return changed


def _problems(error: ValidationError, tables: dict, path: Path) -> list[validation.Problem]:
    """Messages for the errors that pydantic found in a parameter file."""

    def table(location: tuple) -> str:
        return f"[{'.'.join(location)}]" if location else "the top level"

    def where(location: tuple) -> str:
        return f"in {table(location[:-1])} of {path}" if location[:-1] else f"in {path}"

    def shown(location: tuple, value: Any) -> str:
        return f"{'.'.join(location[-1:])} = {validation.show(value)} {where(location)}"

    return validation.problems_of(error, tables, ParameterSet, where, shown, table, str(path))

"""A run file as checked data: its sections, and the origin of each value."""

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal, get_args

from pydantic import Field, PrivateAttr
from pydantic.fields import FieldInfo

from kmc.common.conditions import has_current
from kmc.common.formatting import figure, listed, monolayers, plural
from kmc.common.json_files import json_safe
from kmc.common.validation import INFINITE, Checked, Number, show
from kmc.model.electrochemistry import Drive, atoms_of_capacity, capacity_mAh_cm2
from kmc.model.electrode import Electrode
from kmc.model.initial.chemistry_map import chemistry_sets
from kmc.model.lattice import Lattice
from kmc.model.parameters import ParameterSet, load_parameters
from kmc.runfile import sections
from kmc.runfile.kind_sections import Cathode, Deposition, Upscale
from kmc.runfile.kinds import BOX, KINDS, RunKind, kind_of
from kmc.runfile.protocol import HOLD, Protocol, Step

_PROBE = (4, 4), 12  # cells and layers of a box whose interface stands for any of that lattice


class Origin:
    """Origin of each value of a run, for messages."""

    def __init__(self, source: str, overrides: Mapping[str, str] | None = None):
        self.source = source
        self.overrides = dict(overrides or {})

    def where(self, section: str, key: str = "") -> str:
        """ "in section [stop] of my.toml", or "in --set stop.events=5"."""
        typed = self.overrides.get(f"{section}.{key}")
        return f"in {typed}" if typed else f"in section [{section}] of {self.source}"

    def shown(self, section: str, key: str, value: Any) -> str:
        """ "temperature_K = -5 in section [conditions] of my.toml", or the option as typed."""
        typed = self.overrides.get(f"{section}.{key}")
        return typed or f"{key} = {show(value)} {self.where(section, key)}"

    def of(self, run: "RunFile", place: str) -> str:
        """A key of a run, ``"section.key"``, as `shown`."""
        section, key = place.split(".")
        return self.shown(section, key, getattr(getattr(run, section), key))


def given_keys(section: Checked, prefixes: str | tuple[str, ...] = "") -> list[str]:
    """Keys of a section that begin with a prefix and have a value."""
    return [
        key
        for key in type(section).model_fields
        if key.startswith(prefixes) and getattr(section, key) is not None
    ]


class RunFile(Checked):
    """Everything a run needs, checked and with its defaults filled in, by section.

    `parameters` replaces values of the parameter set.
    """

    system: sections.System = Field(default_factory=sections.System)
    interface: sections.Interface = Field(default_factory=sections.Interface)
    conditions: sections.Conditions = Field(default_factory=sections.Conditions)
    acceleration: sections.Acceleration = Field(default_factory=sections.Acceleration)
    stop: sections.Stop = Field(default_factory=sections.Stop)
    rest: sections.Rest = Field(default_factory=sections.Rest)
    protocol: Protocol = Field(default_factory=Protocol)
    output: sections.Output = Field(default_factory=sections.Output)
    random: sections.Random = Field(default_factory=sections.Random)
    upscale: Upscale = Field(default_factory=Upscale)
    deposition: Deposition = Field(default_factory=Deposition)
    cathode: Cathode = Field(default_factory=Cathode)
    parameters: dict[str, Number] = Field(default_factory=dict)
    _name: str = PrivateAttr("run")
    _text: str = PrivateAttr("")

    @property
    def name(self) -> str:
        """Stem of the run file."""
        return self._name

    @property
    def text(self) -> str:
        """Text of the run file, without overrides."""
        return self._text

    def cadence(self, what: Literal["sample", "frame"]) -> sections.Cadence:
        """Interval of samples or of frames."""
        # Charge first: with [[protocol]] both charge and time may be there.
        for unit in ("monolayers", "events", "s"):
            every = getattr(self.output, f"{what}_every_{unit}")
            if every is not None:
                return sections.Cadence(every, unit)
        raise AssertionError(f"no cadence for {what}")  # `with_default_cadence` sets one

    def parameter_set(self) -> ParameterSet:
        """The parameter set of the run, with its overrides."""
        return load_parameters(self.system.params, self.parameters)

    def resolved(self) -> dict[str, dict[str, Any]]:
        """All sections with their defaults, as plain JSON-able data; infinity is ``"inf"``.

        With a protocol, current and voltage of [conditions] are those of `drive`.
        """
        tables = self.model_dump(mode="python")
        current, voltage, _ = self.drive
        # For whoever reads the file: a copy, so that the section itself stays as it was given.
        tables["conditions"] |= {"current_density_mA_cm2": current, "overpotential_V": voltage}
        stored = kind_of(self.model_fields_set).stored(tables, self.has_protocol)
        return json_safe(stored, "inf")

    @property
    def kind(self) -> str:
        """Name of the kind of run, such as "electrode" or "deposition" (`kmc.runfile.kinds`)."""
        return kind_of(self.model_fields_set).name

    def chemistry_sets(self) -> tuple[ParameterSet, ...]:
        """Parameter sets of the interface chemistries; see `chemistry_map.chemistry_sets`."""
        entries = self.interface.chemistry or ()
        return chemistry_sets(self.parameter_set(), entries, self.parameters)

    def chemistry_names(self) -> list[str]:
        """Parameter sets of the chemistries as the file names them, that of [system] first."""
        return [self.system.params, *(entry.params for entry in self.interface.chemistry or ())]

    def with_default_cadence(self) -> "RunFile":
        """This run with a cadence of samples and frames where the file gives none.

        By charge where a current flows. Where a voltage is held, rows by charge would show the
        moments at which the charge first reached a value, which are rare ones, so that these are
        by time; with [[protocol]] both are there, each for its steps.
        """
        # 50 rows and 5 frames a monolayer: enough for curves, and for voids to be tracked.
        defaults: dict[str, float] = {}
        for what, layers, events in (("sample", 0.02, 10_000), ("frame", 0.2, 100_000)):
            if given_keys(self.output, f"{what}_every_"):
                continue
            every_s = self._held_interval_s(layers)
            if every_s is not None:
                defaults[f"{what}_every_s"] = every_s
            # No charge passes without a current, and time alone may hold no event.
            if not self.has_current:
                defaults[f"{what}_every_events"] = events
            elif every_s is None or self.has_protocol:
                defaults[f"{what}_every_monolayers"] = layers
        return self.model_copy(update={"output": self.output.model_copy(update=defaults)})

    @property
    def holds(self) -> bool:
        """Whether a voltage is held, in some step at least."""
        if self.has_protocol:
            return bool(self._holds)
        return self.conditions.overpotential_V is not None

    @property
    def _holds(self) -> list[Step]:
        return [step for _, _, step in self.protocol.plan if step.do == HOLD]

    def _held_interval_s(self, layers: float) -> float | None:
        """Time in which held voltages pass this charge, as a flat interface would; None without.

        A hold with an end in time has 50 rows or 5 frames at least.
        """
        parameters = self.parameter_set()
        if not self.holds or not parameters.has("exchange_current_density_mA_cm2"):
            return None
        c, a_A = self.conditions, parameters.value("lattice_parameter_A")
        ends = [(c.overpotential_V, self.stop.time_s, c.temperature_K)]
        if self.has_protocol:
            ends = [
                (s.overpotential_V, s.until.time_s, s.temperature_K or c.temperature_K)
                for s in self._holds
            ]
        intervals_s = []
        for volts, time_s, kelvin in ends:
            electrode = Electrode(
                Lattice(self.system.lattice, *_PROBE, "interface", a_A),
                parameters,
                kelvin,
                electrode_thickness_um=c.electrode_thickness_um,
                sink_length_um=c.sink_length_um,
                sink_depth_um=c.sink_depth_um,
            )
            assert volts is not None
            if time_s is not None:
                # 50 rows or 5 frames: layers is 0.02 or 0.2 here.
                intervals_s.append(time_s * layers)
            # Voltages and temperatures without a rate in numbers: refused, or idle, later on.
            with suppress(OverflowError, ZeroDivisionError):
                intervals_s.append(layers / abs(electrode.steady_rate_per_site_Hz(volts)))
        return min(filter(math.isfinite, intervals_s), default=None)

    @property
    def has_protocol(self) -> bool:
        """Whether the run follows the steps of [[protocol]]."""
        return bool(self.protocol.blocks)

    @property
    def drive(self) -> Drive:
        """Current or voltage of the run; of a protocol its largest current.

        Barrier raising by a ratio compares hops with it; where every step holds a voltage, with
        what the largest of them drives.
        """
        if not self.has_protocol:
            given = self.conditions
            return Drive(given.current_density_mA_cm2, given.overpotential_V)
        # The largest: the ratio of hops to strips is a lower bound that must hold in every step.
        current = max(step.current_density_mA_cm2 or 0.0 for _, _, step in self.protocol.plan)
        held = [abs(step.overpotential_V or 0.0) for step in self._holds]
        return Drive(current, max(held) if held and not current else None)

    @property
    def has_current(self) -> bool:
        """Whether charge passes: a current is given, or a voltage is held."""
        return has_current(self.drive._asdict())


def add_kind(kind: RunKind) -> None:
    """Let run files have the section of a further kind of run."""
    assert kind.model is not None, "a kind is known by its section"
    KINDS[kind.name] = kind
    field = FieldInfo(annotation=kind.model, default_factory=kind.model)
    # Pydantic builds a model once: a section that comes later needs it built again.
    RunFile.model_fields[kind.section] = field
    RunFile.model_rebuild(force=True)
    SECTIONS.append(kind.section)


SECTIONS = list(RunFile.model_fields)


def may_be_infinite(field: FieldInfo) -> bool:
    """Whether a key takes inf, be it optional or not."""
    alternatives = get_args(field.annotation)
    marks = [mark for each in alternatives for mark in getattr(each, "__metadata__", ())]
    return INFINITE in (*field.metadata, *marks)


def from_resolved(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The sections again that `RunFile.resolved` returned, without the keys that had no value."""

    def value_of(section: str, key: str, value: Any) -> Any:
        model = RunFile.model_fields[section].annotation
        field = getattr(model, "model_fields", {}).get(key, Field())
        # Of a text key "inf" may be the value.
        return math.inf if value == "inf" and may_be_infinite(field) else value

    return {
        section: {k: value_of(section, k, v) for k, v in table.items() if v is not None}
        for section, table in tables.items()
    }


_OF_A_CELL_mAh_cm2 = 1e-2  # 276 monolayers: many times what a box of atoms is made for
_EARLIER = {
    "contact_fraction": "contact falls to {:g}",
    "overpotential_V": "the overpotential reaches {:g} V",
    "events": "{:g} events are done",
    "time_s": "{:g} s have passed",
    "wall_time_s": "{:g} s have passed on the clock",
}


def ends(run: RunFile) -> str:
    """The nearest stop of a run by charge, and those that may come before it.

    >>> from kmc.runfile.load import load_run
    >>> ends(load_run("strip_li")).replace("\\xa0", " ")
    'at 2 monolayers (7.24e-5 mAh/cm²)'
    """
    stop = run.stop
    earlier = [_EARLIER[k].format(getattr(stop, k)) for k in given_keys(stop) if k in _EARLIER]
    text, semicolon, hint = _by_charge(run).partition("; ")
    if earlier and text:
        text += f", or earlier when {' or '.join(earlier)}"
    elif earlier:
        text = f"when {listed(earlier)}"
    return text + semicolon + hint


def _by_charge(run: RunFile) -> str:
    if run.has_protocol:
        steps = f"after {plural(len(run.protocol.plan), 'step')}"
        ends_early = run.kind == "population" and run.upscale.contact_lost == "end"
        return f"{steps}, or earlier when no contact is left" if ends_early else steps
    section = getattr(run, KINDS[run.kind].section, None)
    if cycles := getattr(section, "cycles", None):
        return f"after {plural(cycles, 'cycle')}"
    if charge := getattr(section, "capacity_mAh_cm2", None):
        return f"at {figure(charge, 'mAh/cm²')}, or earlier when no contact is left"
    layers, charge = run.stop.capacity_monolayers, run.stop.capacity_mAh_cm2
    if run.kind != BOX:  # its layers are those of another lattice
        parts = [monolayers(layers)] if layers else []
        parts += [figure(charge, "mAh/cm²")] if charge else []
        return f"at {' or '.join(parts)}" if parts else ""
    parameters = run.parameter_set()
    edge_A, valence = parameters.value("lattice_parameter_A"), parameters.valence
    area_A2 = Lattice(run.system.lattice, *_PROBE, "interface", edge_A).site_area_A2
    charges = [layers] if layers else []
    if charge:
        # Both ends in the same unit, as the nearer one stops the run.
        charges.append(atoms_of_capacity(charge, area_A2, valence))
    if not charges:
        return ""
    nearest = min(charges)
    charge = capacity_mAh_cm2(nearest, area_A2, valence)
    text = f"at {monolayers(nearest)} ({figure(charge, 'mAh/cm²')})"
    return text if charge < _OF_A_CELL_mAh_cm2 else f"{text}; kmc run cell_li follows such charges"

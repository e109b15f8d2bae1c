"""The engine: runs events on a configuration."""

import sys
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kmc.errors import KmcError
from kmc.kernels import connection, loop, selection, tables
from kmc.model import electrochemistry, rate_tables
from kmc.model.electrochemistry import Drive
from kmc.model.model import Model
from kmc.systems.electrode.configuration import Configuration
from kmc.systems.electrode.growth import push_back

UNLIMITED = sys.maxsize
_RECOUNTED = [tables.VACANCIES, tables.VACANT_L1, tables.MG_L1, tables.ENERGY, tables.N_DIRTY]


class Engine(Configuration):
    """Runs events on one configuration.

    - `occupancy` (array of uint8, shape (n_sites,)): 0 vacancy, 1 Li, 2 Mg.
    - `rng` (numpy.random.Generator): the only source of randomness; its state and the engine's
      determine everything to come.
    - `alloy` (bool): run with the tables for Mg. By default only if Mg is present or can come from
      the reservoir.
    - `log_events`: record up to this many events (0: none).
    - `bar`: where what takes seconds reports its progress.
    """

    bar: Any = False

    def __init__(
        self,
        model: Model,
        occupancy: ArrayLike,
        rng: np.random.Generator,
        *,
        alloy: bool | None = None,
        log_events: int = 0,
    ):
        occupancy = np.asarray(occupancy, dtype=np.uint8)
        if alloy is None:
            # Tables of one species are smaller and faster; Mg that may still come needs those of
            # two.
            alloy = bool((occupancy == tables.MG).any()) or model.reservoir_mg_fraction > 0
        super().__init__(model, occupancy, alloy)
        self.rng = rng
        self.pushes = False  # whether plated ions push the metal back where no site is vacant
        self.mixing = (1.0, 0, 0.0)  # supersaturation that moves Mg; net absorbed and time then
        self.channels = rate_tables.channels(model)
        # A walk that is drawn at once has no single hops that could be logged.
        walks = model.superbasins and not alloy and log_events == 0
        self.lone = rate_tables.lone_vacancy(model, walks)
        self.log = tables.EventLog(
            kind=np.empty(log_events, dtype=np.int8),
            site_from=np.empty(log_events, dtype=np.int64),
            site_to=np.empty(log_events, dtype=np.int64),
            species=np.empty(log_events, dtype=np.int8),
            time_s=np.empty(log_events),
        )
        drawn = slice(tables.PLACE, tables.MEMBER + 1)
        self.state.clock[drawn] = rng.random(2)  # the loop draws one attempt ahead
        self.set_mixing(self.mixing)
        loop.prepare(self.geometry, self.law, self.channels, self.state, self.scratch)

    def advance(
        self,
        *,
        events: int = UNLIMITED,
        strips: int = UNLIMITED,
        attempts: int = UNLIMITED,
        vacant_L1: int = UNLIMITED,
        time_s: float = np.inf,
        pause_time_s: float = np.inf,
        before_strip: int = UNLIMITED,
    ) -> int:
        """Run until one of these absolute values is reached; returns the kernel's reason.

        - `events`, `strips`, `attempts`, `vacant_L1`: returns once a counter has reached the value.
          Charge, here and in `before_strip`, is `net_charge`: it counts in the direction of the
          current.
        - `time_s`, `pause_time_s`: the clock stops exactly here, before the event that comes later;
          with `time_s` the reason is that time is up.
        - `before_strip`: returns when so many atoms have been stripped and the next is about to
          leave (or as many plated and the next is about to arrive), the clock at that moment. As
          strips come at random, the state then is that of any moment; right after a strip there is
          always one vacancy that has not moved yet.
        """
        limits = tables.Limits(
            events=int(events),
            strips=int(strips),
            attempts=int(attempts),
            vacant_L1=int(vacant_L1),
            time_s=float(time_s),
            pause_time_s=float(pause_time_s),
            before_strip=int(before_strip),
        )
        while True:
            tables_ = (self.geometry, self.law, self.channels, self.state, self.scratch)
            parts = self.parts().values()
            reason = loop.advance(*tables_, limits, self.log, *parts, self.rng)
            if reason == tables.BINS_FULL:
                old = self.state.hops.members
                most = selection.POSITION_MASK + 1
                capacity = min(rate_tables.row_length(2 * old.shape[1]), most)
                if capacity == old.shape[1]:
                    raise KmcError(
                        f"{old.shape[1]} vacancies are more than the event loop can hold",
                        advice=f"At most {most} vacancies fit; use a smaller box.",
                    )
                # The order inside a bin decides who is drawn, so that it is copied as it stands.
                members = np.empty((old.shape[0], capacity), dtype=old.dtype)
                for b, n in enumerate(self.state.hops.count):
                    members[b, :n] = old[b, :n]
                hops = self.state.hops._replace(members=members)
                self.state = self.state._replace(hops=hops)
                continue
            due = self.state.clock[tables.STRIP_DUE]
            # Plated under an atom where no vacant site is left; where the ion did not wait, the
            # next has not come yet.
            if reason != tables.NO_SITE or not (self.pushes and push_back(self)):
                return reason
            if due != tables.WAITING:
                self.state.clock[tables.STRIP_DUE] = 0.0

    def parts(self) -> dict[str, Any]:
        """Arguments of `kernels.loop.advance` that are None where this run never needs them.

        Whole runs decide, not the moment: each other set of arguments is compiled anew.
        """
        model = self.model
        held = model.exchange or model.holds_voltage or self.drive.overpotential_V is not None
        creeps = model.creeps or self.channels.creep.size > 0
        net = self._net or (connection.NO_SEARCH if held or model.plates else None)
        flags = {"held": held, "creeps": creeps, "mixes": model.mg_exchange}
        parts = {name: True if used else None for name, used in flags.items()}
        return {"lone": self.lone, "net": net, **parts}

    def set_drive(self, drive: Drive) -> None:
        """Change current or voltage; everything else goes on as before.

        A strip or plate that was due, or waited, under the drive before does not happen.

        Raises `ValueError`: the drive plates and the model keeps no weights for that
        (`Model.plating`).
        """
        if (drive.plates or drive.overpotential_V is not None) and not self.model.plates:
            raise ValueError(f"{drive} needs a model with plating = True")
        # Activity is measured at strips, or at ions: memory of the one says nothing of the other.
        # A rest has its own mean: what the current held up goes within milliseconds.
        if drive.plates or self.drive.plates or not drive.flows:
            self.state.activity[:] = 0.0
        self.drive, self.interface_V = drive, drive.overpotential_V
        self.resting = not drive.flows
        self.state.clock[tables.STRIP_DUE] = 0.0
        self.channels = rate_tables.channels(self.model, drive)
        self.set_mixing(self.mixing)

    def begin_row(self) -> None:
        """Start the interval of the next row; the last one has been recorded."""
        if self.channels.forgetting == 0.0:
            self.state.activity[:] = 0.0

    def set_model(self, model: Model) -> None:
        """Go on at the rates of another model of the same box, such as at another temperature.

        Waiting times have no memory; the activity of vacancies is measured anew, as other numbers
        are expected.
        """
        if model is self.model:
            return
        occupancy = self.occupancy()
        self.law = rate_tables.law(model, isinstance(self.law, tables.TwoSpecies))
        self.model, self.geometry = model, self._geometry_of(model)
        self.lone = rate_tables.lone_vacancy(model, False)
        self.channels = rate_tables.channels(model, self.drive, self.interface_V)
        # Its arrays are those of the model before; they are made again when they are needed.
        self.__dict__.pop("_searches", None)
        self.rebuild(occupancy)
        self.state.clock[tables.PUT_OFF] = -1.0
        self.state.activity[:] = 0.0
        self.set_mixing(self.mixing)

    def rebuild(self, occupancy: np.ndarray) -> None:
        """Count and sort another configuration; counters, clock and activity go on."""
        old = self.state
        fresh = rate_tables.new_state(
            self.model,
            occupancy,
            isinstance(self.law, tables.TwoSpecies),
            capacity=old.hops.members.shape[1] if old.hops else None,
        )
        loop.prepare(self.geometry, self.law, self.channels, fresh, self.scratch)
        recounted = fresh.counters[_RECOUNTED]
        # What was counted from events goes on; what is a property of the configuration is new.
        fresh.counters[:] = old.counters
        fresh.counters[_RECOUNTED] = recounted
        fresh.clock[:] = old.clock
        fresh.activity[:] = old.activity
        self.state = fresh

    def set_interface_V(self, volts: float) -> None:
        """Hold this overpotential at the interface from now on (a run at given voltage only).

        Raises `ValueError`: the run has a current instead of a voltage, or this is no voltage.
        """
        if self.drive.overpotential_V is None or not np.isfinite(volts):
            raise ValueError(f"cannot hold {volts} V")
        self.interface_V = volts
        self.channels = rate_tables.channels(self.model, self.drive, volts)
        self.set_mixing(self.mixing)

    def split_voltage(self) -> None:
        """Leave to the interface what electrolyte and series resistance leave of the voltage held.

        What drops there follows from the contact of this moment and stays until the next call.
        Nothing happens in a run at given current, nor without any contact: what is electroactive
        then, if anything, goes on as before, and the loop sees when nothing is.
        """
        model = self.model
        applied_V = self.drive.overpotential_V
        if applied_V is None or not self.contact().any():
            return
        # Implicit in the current, which drops part of the voltage before it reaches the interface:
        # solved for the voltage at which both carry the same current.
        resistance = self.spreading_resistance_ohm_cm2() + model.series_resistance_ohm_cm2
        self.set_interface_V(
            electrochemistry.interface_part_V(
                applied_V,
                *self.exchange_rates_Hz(),
                electrochemistry.drop_V(self._current_density_mA_cm2(1.0), resistance),
                model.thermal_V,
                model.alpha,
            )
        )

    def set_mixing(self, mixing: tuple[float, int, float]) -> None:
        """Let Mg exchange with Li as vacancies of this supersaturation would make it."""
        supersaturation, absorbed, time_s = mixing
        self.mixing = (float(supersaturation), int(absorbed), float(time_s))
        rate_Hz = self.model.mg_exchange_rate_Hz * supersaturation
        if isinstance(self.law, tables.OneSpecies):
            rate_Hz = 0.0
        self.channels = self.channels._replace(mg_exchange=rate_Hz / self.model.unit_Hz)

    def update_mixing(self) -> None:
        """Take the supersaturation from what the reservoir has absorbed since the last call.

        In the steady state the net rate of absorption is k' c_eq (S − 1) for each site of the top
        layer; the box between it and L3 has its share of the resistance.
        """
        model = self.model
        if not model.mg_exchange or model.absorption_rate_Hz == 0.0:
            return
        _, absorbed, time_s = self.mixing
        now = self.count(tables.ABSORBED) - self.count(tables.EMITTED)
        if self.time_s <= time_s:
            return
        # Net, not gross: absorption and emission nearly cancel, and their difference is the flux.
        per_s = (now - absorbed) / (self.time_s - time_s) / model.lattice.sites_per_layer
        excess = per_s / model.emission_rate_per_site_Hz / (1.0 - model.box_share)
        self.set_mixing((max(0.0, 1.0 + excess), now, self.time_s))

    def mg_sites(self) -> np.ndarray:
        """Sites of the Mg atoms in the order of the kernel's list, if it keeps one."""
        mg = self.state.mg
        listed = mg.sites[: mg.length[0]].astype(np.int64)
        return self.model.kernel_lattice.lattice_sites(listed)

    def extra_state(self) -> dict[str, Any]:
        """What a snapshot needs beside the state of the kernels."""
        return {}

    def restore_extra(self, saved: dict) -> None:
        """Take up what `extra_state` returned."""

    def bin_members(self, which: str = "hops") -> dict[int, np.ndarray]:
        """Sites of every occupied bin in their order; `which` is "hops", "strips" or "plates"."""
        bins, lattice = getattr(self.state, which), self.model.kernel_lattice
        if not bins:  # in equilibrium between events no vacancy has a rate
            return {}
        members = {int(b): bins.members[b, : bins.count[b]] for b in np.flatnonzero(bins.count)}
        sites = lattice.lattice_sites if which == "hops" else lattice.strip_sites
        return {b: sites(m) for b, m in members.items()}

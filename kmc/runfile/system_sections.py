"""Sections of run files that make a run one of another system (`kmc.systems`)."""

from __future__ import annotations

from kmc.runfile.cathode_section import Cathode
from kmc.runfile.deposition_section import Deposition
from kmc.runfile.sections import SystemSection

SYSTEMS: dict[str, type[SystemSection]] = {"deposition": Deposition, "cathode": Cathode}

"""Other systems than an electrode that is stripped: lithium on substrates, creeping cathodes.

A system is a section of a run file (`kmc.runfile.system_sections`) and a `Kind`: what it records,
how it runs, how its file is checked and summed up. It is registered by a line in each of `KINDS`
here, `kmc.runfile.system_sections.SYSTEMS`, `RunFile`, `kmc.runfile.system_checks` and
`kmc.plotting.systems.SYSTEM_PICTURES`; from these `kmc run`, `kmc info`, `kmc verify`, `kmc plot`,
`kmc export`, `kmc.load` and sweeps know it.
"""

from kmc.systems.cathode.kind import CATHODE
from kmc.systems.deposition.kind import DEPOSITION
from kmc.systems.kind import Kind

KINDS: dict[str, Kind] = {kind.name: kind for kind in (DEPOSITION, CATHODE)}

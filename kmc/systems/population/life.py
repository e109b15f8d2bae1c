"""Connected gaps of a field h(x, y), followed in time: splits, collapses, coalescences.

A gap is a connected set of cells without contact, cells that share an edge being connected, also
across the edges of the periodic square. Successive fields are compared by overlap: a gap keeps its
number as long as its largest part does, a part that comes off takes a new number once it is large
enough to be distinguished from a cell of the grid.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from kmc.analysis.shapes import labels

APPEARS, SPLITS, COALESCES, COLLAPSES = range(4)
KINDS = ("appears", "splits", "coalesces", "collapses")


@dataclass(frozen=True)
class ConnectedGaps:
    """The connected gaps of one field."""

    #: Number of the gap of each cell from 1; 0 where there is contact; shape (n, n).
    label: np.ndarray
    h_um: np.ndarray  #: shape (n, n)
    edge_um: float
    #: Of each, as volume and height, which is the largest of its cells; shape (n_gaps,).
    area_um2: np.ndarray
    volume_um3: np.ndarray
    height_um: np.ndarray

    def __len__(self) -> int:
        return len(self.area_um2)

    def centres_um(self) -> np.ndarray:
        """Centres of the volumes within the square, shape (2, n_gaps): x, y."""
        n, flat = len(self.h_um), self.label.ravel()
        # On a periodic axis the mean of a place is the phase of the mean of exp(2πi x/edge).
        phase = np.exp(2j * np.pi * (np.arange(n) + 0.5) / n)
        waves = (self.h_um * phase).ravel(), (self.h_um * phase[:, None]).ravel()
        sums = [np.bincount(flat, w.real) + 1j * np.bincount(flat, w.imag) for w in waves]
        return np.angle(sums)[:, 1:] % (2 * np.pi) * self.edge_um / (2 * np.pi)


def gaps_of(
    h_um: np.ndarray, edge_um: float, parts: tuple[np.ndarray, int] | None = None
) -> ConnectedGaps:
    """Label a field of gaps h ≥ 0, shape (n, n), and measure every gap; `parts`: its `labels`."""
    numbers, n = labels(h_um > 0) if parts is None else parts
    cell = (edge_um / len(h_um)) ** 2
    flat, height = numbers.ravel(), h_um.ravel()
    area = np.bincount(flat, minlength=n + 1)[1:] * cell
    volume = np.bincount(flat, height, minlength=n + 1)[1:] * cell
    highest = np.zeros(n + 1)
    np.maximum.at(highest, flat, height)
    return ConnectedGaps(numbers, h_um, edge_um, area, volume, highest[1:])


@dataclass
class Life:
    """Follows the gaps of one run.

    - `least_um2`: area from which a part that comes off counts as a void of its own, and from which
      a void that vanishes is listed.
    - `of_cell` (int64 array, shape (n, n)): number of the void of each cell; 0 on contact.
    - `regained_um2`: area that came back into contact, summed over the run.
    - `counts` (int64 array, shape (4,)): how often each of `KINDS` has happened.
    """

    edge_um: float
    n_cells: int
    least_um2: float

    def __post_init__(self) -> None:
        self.of_cell = np.zeros((self.n_cells, self.n_cells), dtype=np.int64)
        self.regained_um2 = 0.0
        self.counts = np.zeros(len(KINDS), dtype=np.int64)
        self.next_number = 1
        # Of each void that is there: number, largest area so far, area, volume, height.
        self.voids = np.zeros((0, 5))

    def follow(
        self, h_um: np.ndarray, parts: tuple[np.ndarray, int] | None = None
    ) -> list[tuple[int, int, int, float, float, float]]:
        """Compare a field with the one before.

        Returns rows of kind (an index into `KINDS`), void, what it came off or became part of (0
        without), area, volume, height: those with which it began, or the last before it ended; µm²,
        µm³ and µm.
        """
        now, old = gaps_of(h_um, self.edge_um, parts), self.of_cell
        self.regained_um2 += (
            np.count_nonzero((old > 0) & (now.label == 0)) * (self.edge_um / self.n_cells) ** 2
        )
        both = (old > 0) & (now.label > 0)
        # Counts by pair without sorting the cells: a matrix sums what is put into one place.
        each = np.ones(np.count_nonzero(both), dtype=np.int64)
        shape = (len(now) + 1, self.next_number)
        table = sparse.coo_array((each, (now.label[both], old[both])), shape=shape).tocsr()
        table.sort_indices()
        shared, pairs = table.data, np.stack(table.nonzero())
        gap_of: dict[int, int] = {}  # void → gap that holds most of it
        void_of: dict[int, int] = {}  # gap → void whose number it keeps
        first: dict[int, int] = {}  # gap → void of most of its cells
        # Stable, as equal overlaps would otherwise be ordered by the library.
        order = np.argsort(-shared, kind="stable")
        for gap, void in pairs[:, order].T.tolist():
            first.setdefault(gap, void)
            # A void goes on in the gap that holds most of it; that gap keeps the number of the void
            # with most of its cells.
            if gap_of.setdefault(void, gap) == gap:
                void_of.setdefault(gap, void)
        was = {int(row[0]): row[1:] for row in self.voids}
        events = []
        for void, gap in gap_of.items():
            if void_of[gap] != void:
                events.append((COALESCES, void, void_of[gap], *was[void][1:].tolist()))
        for void, row in was.items():
            if void not in gap_of and row[0] >= self.least_um2:
                events.append((COLLAPSES, void, 0, *row[1:].tolist()))
        sizes = np.column_stack([now.area_um2, now.volume_um3, now.height_um])
        number = np.zeros(len(now) + 1, dtype=np.int64)
        for gap in range(1, len(now) + 1):
            parent = first.get(gap, 0)
            if gap in void_of:
                number[gap] = void_of[gap]
            elif parent and sizes[gap - 1, 0] < self.least_um2:
                number[gap] = void_of[gap_of[parent]]  # a crumb of its void, until it grows
            else:
                number[gap] = self.next_number
                self.next_number += 1
                kind = SPLITS if parent else APPEARS
                events.append((kind, int(number[gap]), parent, *sizes[gap - 1].tolist()))
        self.of_cell = number[now.label]
        # A void of several gaps has the sum of their areas and volumes, and the largest height.
        voids, of = np.unique(number[1:], return_inverse=True)
        total = np.zeros((len(voids), 3))
        np.add.at(total, of, sizes)
        total[:, 2] = 0.0
        np.maximum.at(total[:, 2], of, sizes[:, 2])
        peak = [was[v][0] if v in was else 0.0 for v in voids.tolist()]
        self.voids = np.column_stack([voids, np.maximum(peak, total[:, 0]), total])
        self.counts += np.bincount([event[0] for event in events], minlength=len(KINDS))
        return events

    def arrays(self) -> dict[str, np.ndarray]:
        """The state, from which `restore` goes on."""
        scalars = np.array([self.regained_um2, self.next_number])
        return {
            "of_cell": self.of_cell,
            "counts": self.counts,
            "voids": self.voids,
            "scalars": scalars,
        }

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        self.of_cell, self.counts = arrays["of_cell"], arrays["counts"]
        self.voids = arrays["voids"].reshape(-1, 5)
        self.regained_um2, self.next_number = float(arrays["scalars"][0]), int(arrays["scalars"][1])

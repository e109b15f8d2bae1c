"""Whether everything that was written to a trajectory is still there and unchanged.

Running checksums over all rows and frames show that one was removed; what a file records once has a
checksum, and the attributes for readers must agree with the record that kmc reads.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kmc.errors import FileFormatError
from kmc.files import file as layout
from kmc.files import integrity as guard
from kmc.files import schema
from kmc.files.check_result import Breach
from kmc.files.checkpoint import checkpoints_in
from kmc.files.reader import Stored

_INTERRUPTED = ("", "interrupted", "repaired")  # why a run that is not finished stopped


def _wrong(place: str, value: Any, expected: Any) -> Breach:
    return Breach("settings", place, None, value, expected)


def missing_rows(stored: Stored) -> Iterator[Breach]:
    """Errors in the number and the order of rows and frames.

    A run that is killed while it writes may leave some rows after those that are counted.
    """
    totals, rows, frame_checksums = stored.totals, stored.rows, stored.frame_checksums
    if totals is None:  # an older file
        return
    counts = {"samples": len(rows), "frames": len(frame_checksums)}
    for name, there in counts.items():
        written = getattr(totals, f"n_{name}")
        if there < written or (stored.record["finished"] and there > written):
            expected = f"{written}, as many as were written"
            yield Breach("completeness", f"/{name}", None, f"{there} rows long", expected)
            return
    # A checksum over all rows sees that one was removed or moved, which their own do not.
    found = schema.Totals().with_samples(rows[: totals.n_samples])
    found = found.with_frames(frame_checksums[: totals.n_frames])
    for name in counts:
        if getattr(found, f"crc_{name}") != getattr(totals, f"crc_{name}"):
            value, expected = "another sequence of rows", "that which was written"
            yield Breach("completeness", f"/{name}", None, value, expected)


def altered(path: Path, record: dict[str, Any]) -> Iterator[Breach]:
    """Settings, texts, units and lattice that are not those that were written."""
    try:
        guard.check_heaps(path)  # before HDF5 reads a text
        yield from guard.read(path, lambda file: list(_altered(file, record)))
    except FileFormatError as damage:
        yield _wrong("/", f"unreadable ({damage.message})", "texts and units")


def _altered(file: Any, record: dict[str, Any]) -> Iterator[Breach]:
    version = record["schema_version"]
    stored = guard.totals(file)
    if stored is None and record.get("totals"):
        yield _wrong(schema.TOTALS, "not there", "counts and checksums")
    if stored is not None:
        text = guard.dataset(file, schema.RECORD.path)[:].tobytes()
        arrays = guard.lattice(file, record["lattice"]).values()
        found = schema.constants_checksum(version, text, arrays)
        if found != stored[1]:
            place = "/record, /lattice or /@schema_version"
            yield _wrong(place, f"checksum {found}", stored[1])
    # Attributes for readers, which HDF5 keeps without a checksum, must be those of `/record`.
    texts = layout.texts(record, record.get("provenance", {}), record["stop_reason"])
    for path, value in texts.items():
        place, _, name = path.partition("@")
        there = guard.attribute(file[place], name)
        if path == "/@stop_reason" and isinstance(there, str):  # that of the record may be cut
            there = layout.truncated(there, schema.STOP_REASON_BYTES).decode()
        if there != value and not _same_json(there, value):
            yield _wrong(path, _shown(there), _shown(value))
    finished, reason = record["finished"], record["stop_reason"]
    if finished == (reason in _INTERRUPTED):
        yield _wrong("/@finished", f"{finished} with stop_reason {reason!r}", f"{not finished}")
    listed = {f"/samples/{name}": unit for name, unit in record["columns"]}
    known = {entry.path: entry.unit for entry in schema.SCHEMA if "@" not in entry.path}
    labelled = {p: unit for p, unit in {**listed, **known}.items() if guard.holds(file, p)}
    for path, unit in labelled.items():
        for expected in {unit, listed.get(path, unit)}:
            there = guard.attribute(file[path], "unit")
            if there != expected:
                yield _wrong(f"{path}@unit", _shown(there), _shown(expected))
    labels = record.get("labels_crc32")  # files of earlier versions have none
    if labels is not None and labels != guard.labels_checksum(file, labelled):
        yield _wrong("the units and descriptions", "other ones", "those that were written")
    stored_bytes = 0
    for slot in (schema.CHECKPOINT, *schema.OLD_CHECKPOINTS):
        with contextlib.suppress(KeyError):  # none of the schemas has all of them
            stored_bytes += len(guard.dataset(file, slot.path, kinds=(slot.dtype,)))
    # A state from which `kmc resume` or `kmc extend` could not go on.
    if stored_bytes and not checkpoints_in(file, record["lattice"]):
        yield _wrong(schema.CHECKPOINT.path, "no complete state", "that of the run")


def _same_json(one: Any, other: Any) -> bool:
    try:
        return json.loads(one) == json.loads(other)
    except (TypeError, ValueError):
        return False


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 80 else f"{text[:60]}… ({len(text)} characters)"

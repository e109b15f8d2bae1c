"""What a power cut leaves of files: the simulated disk of the tests.

The rules are those of SQLite's crash tests: what was written since the last fsync of a file may be
on the disk or not; a file that was never synchronised may be empty; a name that was changed since
the last fsync of its folder may be the old one or the new one.
A machine on which one may load kernel modules can do the same to a whole run with dm-flakey or
dm-log-writes (replay each write of a log up to a FLUSH, then mount and read).
"""

from __future__ import annotations

import os
from pathlib import Path


class Disk:
    """Watches everything that is synchronised and renamed.

    Attributes
    ----------
    replaced : list of (Path, bytes or None, bytes)
        For each replaced name: what a power cut right after leaves, which is the old content (None
        if there was none) or the second, the content of the new file as far as it was synchronised.
    unsynced_folders : set of Path
        Folders of names that a power cut can still turn back.
    """

    def __init__(self, monkeypatch):
        self.replaced: list[tuple[Path, bytes | None, bytes]] = []
        self.unsynced_folders: set[Path] = set()
        self._synced: dict[tuple[int, int], bytes] = {}
        fsync, replace = os.fsync, os.replace

        def watched_fsync(number):
            fsync(number)
            place = Path(os.readlink(f"/proc/self/fd/{number}"))
            if place.is_dir():
                self.unsynced_folders.discard(place)
                return
            self._synced[self._key(place)] = place.read_bytes()

        def watched_replace(source, target):
            source, target = Path(source), Path(target)
            old = target.read_bytes() if target.exists() else None
            new = self._synced.get(self._key(source), b"")
            replace(source, target)
            if target.suffix in {".nbi", ".nbc"}:  # compiled code, which numba makes again
                return
            self.replaced.append((target, old, new))
            self.unsynced_folders.add(target.parent.resolve())

        monkeypatch.setattr(os, "fsync", watched_fsync)
        monkeypatch.setattr(os, "replace", watched_replace)

    @staticmethod
    def _key(path: Path) -> tuple[int, int]:
        status = path.stat()
        return status.st_dev, status.st_ino

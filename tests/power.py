"""What a power cut leaves of files: the simulated disk of the tests.

The rules are those of SQLite's crash tests: what was written since the last fsync of a file may be
on the disk or not, sector by sector and in any order; a file that was never synchronised may be
empty; a name that was changed since the last fsync of its folder may be the old one or the new one.
A machine on which one may load kernel modules can do the same to a whole run with dm-flakey or
dm-log-writes (replay each write of a log up to a FLUSH, then mount and read).
"""

from __future__ import annotations

import os
import random
from pathlib import Path

SECTOR = 512


class Layer:
    """A file object that remembers what has not been synchronised.

    Parameters
    ----------
    file : FileIO
    """

    def __init__(self, file):
        self._file = file
        self.path = Path(file.name)
        self.synced = self.path.read_bytes()
        self.pending: list[tuple[str, int, bytes]] = []

    def __getattr__(self, name):
        return getattr(self._file, name)

    def write(self, data) -> int:
        self.pending.append(("write", self._file.tell(), bytes(data)))
        return self._file.write(data)

    def truncate(self, size: int) -> int:
        self.pending.append(("truncate", size, b""))
        return self._file.truncate(size)

    def sync(self) -> None:
        self.synced, self.pending = self.path.read_bytes(), []

    def after_a_cut(self, chance: random.Random) -> bytes:
        """One of the contents that a power cut at this moment can leave."""
        content = bytearray(self.synced)
        share = chance.choice([0.0, 0.1, 0.5, 0.9, 1.0])
        for kind, place, data in self.pending:
            if kind == "truncate":
                if chance.random() < share:
                    del content[place:]
                    content.extend(bytes(place - len(content)))
                continue
            start = 0
            while start < len(data):
                end = min(len(data), start + SECTOR - (place + start) % SECTOR)
                if chance.random() < share:
                    content.extend(bytes(max(0, place + end - len(content))))
                    content[place + start : place + end] = data[start:end]
                start = end
        return bytes(content)


class Disk:
    """Puts layers under the commits of trajectories, and watches everything that is renamed.

    Attributes
    ----------
    layers : list of Layer
        One for each file that was opened for a commit, the last one last.
    replaced : list of (Path, bytes or None, bytes)
        For each replaced name: what a power cut right after leaves, which is the old content (None
        if there was none) or the second, the content of the new file as far as it was synchronised.
    unsynced_folders : set of Path
        Folders of names that a power cut can still turn back.
    """

    def __init__(self, monkeypatch):
        from kmc.files import transaction

        self.layers: list[Layer] = []
        self.replaced: list[tuple[Path, bytes | None, bytes]] = []
        self.unsynced_folders: set[Path] = set()
        self._synced: dict[tuple[int, int], bytes] = {}
        fsync, replace = os.fsync, os.replace

        def layered(path, *how, **more):
            file = open(path, *how, **more)  # noqa: SIM115 - closed by its user
            if "+" not in how[0]:
                return file
            self.layers.append(Layer(file))
            return self.layers[-1]

        def watched_fsync(number):
            fsync(number)
            place = Path(os.readlink(f"/proc/self/fd/{number}"))
            if place.is_dir():
                self.unsynced_folders.discard(place)
                return
            self._synced[self._key(place)] = place.read_bytes()
            for layer in self.layers:
                if layer.path == place:
                    layer.sync()

        def watched_replace(source, target):
            source, target = Path(source), Path(target)
            old = target.read_bytes() if target.exists() else None
            new = self._synced.get(self._key(source), b"")
            replace(source, target)
            self.replaced.append((target, old, new))
            self.unsynced_folders.add(target.parent.resolve())

        monkeypatch.setattr(transaction, "open", layered, raising=False)
        monkeypatch.setattr(os, "fsync", watched_fsync)
        monkeypatch.setattr(os, "replace", watched_replace)

    @staticmethod
    def _key(path: Path) -> tuple[int, int]:
        status = path.stat()
        return status.st_dev, status.st_ino

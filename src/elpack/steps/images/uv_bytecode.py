"""Bytecode of dists that did not change since a layer was made last: it need not be compiled again."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elpack.images import uv
from elpack.intact import is_intact, remember
from elpack.steps.exchange import link_or_copy

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from packaging.utils import NormalizedName

    from elpack.steps.images.uv_inputs import UvInputs


@dataclass(frozen=True, slots=True)
class Bytecode:
    """The bytecode of `dists`, kept below `work`. common: what it hangs on beside a dist's own digest."""

    work: Path
    common: tuple[str, ...]
    inputs: UvInputs
    dists: Collection[NormalizedName]

    def known(self, wheels: Mapping[NormalizedName, Path]) -> dict[str, str]:
        """Return where `finish_tree.py` finds what is there, by the name of the dist-info folder."""
        return {_info(wheels[dist]): f"{uv.HOME}/bytecode/{dist}" for dist in self._there(wheels)}

    def binds(self, wheels: Mapping[NormalizedName, Path]) -> tuple[str, ...]:
        """Return bubblewrap's options that show it, read-only."""
        found = self._there(wheels)
        return tuple(
            word for dist in found for word in ("--ro-bind", str(self._folder(dist)), f"{uv.HOME}/bytecode/{dist}")
        )

    def keep(self, tree: Path, wheels: Mapping[NormalizedName, Path]) -> None:
        """Keep what is in a finished tree for the next time."""
        there = set(self._there(wheels))
        (site,) = tree.glob("lib/py*/site-packages")
        for dist in self.dists:
            if dist not in wheels or dist in there:
                continue
            folder = self._folder(dist)
            shutil.rmtree(folder.parent, ignore_errors=True)
            partial = folder.with_suffix(".partial")
            partial.mkdir(parents=True)
            record = site / _info(wheels[dist]) / "RECORD"
            for line in record.read_text().splitlines():
                source = site / line.partition(",")[0].strip('"')
                for path in source.parent.glob(f"__pycache__/{source.stem}.*.pyc") if source.suffix == ".py" else ():
                    place = partial / path.relative_to(site)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    link_or_copy(path, place)
            remember(partial, folder)
            partial.rename(folder)

    def _there(self, wheels: Mapping[NormalizedName, Path]) -> list[NormalizedName]:
        folders = {dist: self._folder(dist) for dist in self.dists if dist in wheels}
        return [dist for dist, folder in folders.items() if folder.is_dir() and is_intact(folder)]

    def _folder(self, dist: NormalizedName) -> Path:
        parts = [*self.common, self.inputs.digests[dist], *self.inputs.packages[dist].keep_source]
        return self.work / dist / hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _info(wheel: Path) -> str:
    """Return the name of a wheel's dist-info folder."""
    with zipfile.ZipFile(wheel) as archive:
        found = {name.partition("/")[0] for name in archive.namelist()}
    (info,) = (name for name in found if name.endswith(".dist-info"))
    return info

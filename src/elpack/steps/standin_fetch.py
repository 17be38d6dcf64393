"""Fetch the stand-in's Debian packages: one unconfigured tree, and what each package says of itself."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.errors import CommandError, Problem, StandinError
from elpack.run import CLEAN_ENV, Command
from elpack.standin.apt import mirror_lines
from elpack.standin.dpkg import Deb, newest_date, parse_deb
from elpack.steps.standin_tree import remove_tree

if TYPE_CHECKING:
    from elpack.model import Target
    from elpack.run import Runner
    from elpack.standin.mapping import StandinMapping

DEBS = "debs.json"
_DEB_ARCH = {"x86_64": "amd64", "aarch64": "arm64"}
_PASSED_ON = ("http_proxy", "https_proxy", "no_proxy")
_MIRROR_VARIABLE = "ELPACK_DEBIAN_MIRROR"
_APT = Path("/etc/apt")
# EL9 has these as links too; they must be there before the first package is unpacked
_MERGE_USR = 'for d in bin sbin lib lib64; do mkdir -p "$1/usr/$d" && ln -s "usr/$d" "$1/$d" || exit 1; done'


@dataclass(frozen=True, slots=True)
class Fetched:
    """Debian's packages on disk. `epoch` is the time of the newest file in them, in seconds."""

    tree: Path
    debs: tuple[Deb, ...]
    epoch: int


def fetch_debian(folder: Path, target: Target, mapping: StandinMapping, runner: Runner) -> None:
    """Fill an empty folder with ``tree/`` and ``debs.json``. No code of the packages runs.

    Raises `CommandError` when the mirror cannot be had.
    """
    tree = folder / "tree"
    environment = dict(CLEAN_ENV) | {key: os.environ[key] for key in _PASSED_ON if key in os.environ}
    command = (
        "mmdebstrap",
        "--mode=root",
        "--variant=extract",
        "--format=directory",
        f"--architectures={_DEB_ARCH[target.arch]}",
        "--skip=check/qemu,cleanup/apt/cache",
        f"--setup-hook={_MERGE_USR}",
        f"--include={','.join(mapping.include)}",
        mapping.suite,
        str(tree),
        *mirrors(mapping.suite),
    )
    log = folder / "mmdebstrap.log"
    done = runner(Command(command, env=environment, log=log))
    if done.returncode != 0:
        raise CommandError(
            Problem(
                f"mmdebstrap could not fetch Debian {mapping.suite}\n{done.tail()}",
                why="the Debian archive does not answer, or it lacks a package",
                fix=f"set {_MIRROR_VARIABLE} to a mirror that this machine reaches, and run the command again",
            )
        )
    _read_debs(folder, tree, runner)


def mirrors(suite: str) -> tuple[str, ...]:
    """Return mmdebstrap's mirror arguments: the user's, else this machine's own, else none (its default)."""
    if chosen := os.environ.get(_MIRROR_VARIABLE):
        return (chosen,)
    lists = [_APT / "sources.list", *sorted((_APT / "sources.list.d").glob("*"))]
    texts = ((path.name, path.read_text(errors="replace")) for path in lists if path.is_file())
    return mirror_lines(texts, suite)


def load_fetched(folder: Path) -> Fetched:
    """Return what an earlier `fetch_debian` left in the folder."""
    data = json.loads((folder / DEBS).read_text())
    debs = tuple(
        Deb(
            name=deb["name"],
            version=deb["version"],
            sha256=deb["sha256"],
            depends=tuple(tuple(group) for group in deb["depends"]),
            provides=tuple(deb["provides"]),
            paths=tuple(deb["paths"]),
        )
        for deb in data["debs"]
    )
    return Fetched(folder / "tree", debs, data["epoch"])


def _read_debs(folder: Path, tree: Path, runner: Runner) -> None:
    archives = tree / "var/cache/apt/archives"
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        read = list(pool.map(lambda path: _read_deb(path, runner), sorted(archives.glob("*.deb"))))
    if not read:
        raise StandinError(Problem("mmdebstrap fetched no package", where=str(folder)))
    remove_tree(archives)
    remove_tree(tree / "var/lib/apt")
    newest = max(date for _, date in read)
    epoch = datetime.strptime(newest, "%Y-%m-%d %H:%M").replace(tzinfo=UTC).timestamp()
    data = {"epoch": int(epoch), "debs": [asdict(deb) for deb, _ in sorted(read, key=lambda pair: pair[0].name)]}
    (folder / DEBS).write_text(json.dumps(data, indent=1))


def _read_deb(path: Path, runner: Runner) -> tuple[Deb, str]:
    control = runner(Command(("dpkg-deb", "--field", str(path)))).check().stdout
    listing = runner(Command(("dpkg-deb", "--contents", str(path)))).check().stdout
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return parse_deb(control, listing, digest), newest_date(listing)

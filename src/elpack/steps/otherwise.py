"""What a second build has otherwise than the first, and what it cannot have otherwise on this machine."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.run import CLEAN_ENV, Command

if TYPE_CHECKING:
    from collections.abc import Mapping

    from elpack.run import Runner

DAYS = 400
"""How far the clock is shifted: another day of the week, month and year."""

_KEPT = ("PATH", "PYTHONPATH", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SUDO_UID", "ELPACK_DEBIAN_MIRROR")
_HOST = "elpack-rebuild-elsewhere"
_ZONES = ("Pacific/Kiritimati", "America/St_Johns")
_SEEDS = ("4711", "42")
# Turkish lower-cases I to a letter that no other language uses
_LOCALES = ("tr_TR.utf8", "tr_TR.UTF-8", "de_DE.utf8", "de_DE.UTF-8", "C", "C.utf8")
_PRIVATE, _USUAL = 0o077, 0o022
_ENTER = 'if [ -n "$1" ]; then hostname "$1"; fi; umask "$2"; shift 2; exec "$@"'


@dataclass(frozen=True, slots=True)
class Variation:
    """One thing that may leave a trace in what is built: what it is the second time, or why it is the same."""

    what: str
    value: str = ""
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Here:
    """What this machine and this process are like, as far as a second build is to differ from it."""

    environ: Mapping[str, str]
    umask: int
    cpus: tuple[int, ...]
    locales: tuple[str, ...]
    root: bool
    tools: frozenset[str]

    @classmethod
    def look(cls, runner: Runner) -> Here:
        """Look at this machine and this process."""
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        umask = int(next(line.split()[1] for line in status.splitlines() if line.startswith("Umask:")), 8)
        tools = frozenset(tool for tool in ("locale", "unshare", "hostname", "taskset", "cc") if shutil.which(tool))
        names = runner(Command(("locale", "-a"))).stdout.split() if "locale" in tools else []
        cpus = tuple(sorted(os.sched_getaffinity(0)))
        return cls(dict(os.environ), umask, cpus, tuple(names), os.geteuid() == 0, tools)


@dataclass(frozen=True, slots=True)
class Otherwise:
    """How to run a program otherwise. `clock` is a library that shifts the clock of what preloads it."""

    prefix: tuple[str, ...]
    env: Mapping[str, str]
    workers: int
    clock: Path | None
    variations: tuple[Variation, ...]


def otherwise(
    here: Here, folder: Path, workers: int, *, own_clock: bool, builds_clock: str, runner: Runner
) -> Otherwise:
    """Return an environment in which as much as possible differs from `here`.

    folder: an empty folder, which gets a home and the library for the clock. workers: the first build's.
    own_clock: whether elpack's own clock may be wrong; TLS would refuse all certificates. builds_clock: why that of
    the builds cannot be shifted, empty if it can.
    """
    home = folder / "home"
    home.mkdir(parents=True)
    library, no_clock = _clock(here, folder, runner)
    zone = next(zone for zone in _ZONES if zone != here.environ.get("TZ"))
    seed = next(seed for seed in _SEEDS if seed != here.environ.get("PYTHONHASHSEED"))
    used = {here.environ.get(name, "") for name in ("LC_ALL", "LANG")}
    spoken = next(name for name in _LOCALES if name not in used and (name in here.locales or name == "C"))
    umask = _USUAL if here.umask == _PRIVATE else _PRIVATE
    host = _HOST if here.root and {"unshare", "hostname"} <= here.tools else ""
    pinned = here.cpus[:-1] if "taskset" in here.tools else ()
    env = {name: here.environ[name] for name in _KEPT if name in here.environ}
    env |= {"HOME": str(home), "USER": "nobody", "LOGNAME": "nobody", "TZ": zone, "PYTHONHASHSEED": seed}
    env |= {"LANG": spoken, "LC_ALL": spoken, "LANGUAGE": "tr", "TERM": "dumb"}
    own = "TLS would refuse every certificate" if not own_clock else no_clock
    if library and own_clock:
        env["LD_PRELOAD"] = str(library)
    shift = f"{DAYS} days later"
    variations = (
        Variation("workers", str(workers + 1)),
        Variation("umask", f"{umask:04o}"),
        Variation("locale", f"{spoken}, LANGUAGE=tr"),
        Variation("time zone", zone),
        Variation("HOME, USER", f"{home}, nobody"),
        Variation("PYTHONHASHSEED", seed),
        Variation("host name", host, "" if host else "needs root, unshare and hostname"),
        Variation(
            "processors in use", str(len(pinned)) if pinned else "", "" if pinned else "there is one, or no taskset"
        ),
        Variation("clock of elpack", "" if own else shift, own),
        Variation("clock inside the builds", "" if builds_clock or no_clock else shift, builds_clock or no_clock),
    )
    prefix = (
        *(("unshare", "--uts") if host else ()),
        *("sh", "-c", _ENTER, "sh", host, f"{umask:04o}"),
        *(("taskset", "--cpu-list", ",".join(map(str, pinned))) if pinned else ()),
    )
    return Otherwise(prefix, env, workers + 1, None if builds_clock else library, variations)


def _clock(here: Here, folder: Path, runner: Runner) -> tuple[Path | None, str]:
    """Compile the library that shifts the clock; else say why there is none.

    libfaketime is not used: with it, sleeping fails in Python 3.11 and newer, which wait by the monotonic clock.
    """
    if "cc" not in here.tools:
        return None, "no C compiler (cc) makes the library that shifts it"
    source, library = folder / "clock.c", folder / "clock.so"
    source.write_text(resources.files("elpack.assets").joinpath("clock.c").read_text())
    options = ("-shared", "-fPIC", "-O2", "-nostdlib", f"-DSHIFT={DAYS * 86400}")
    made = runner(Command(("cc", *options, "-o", str(library), str(source)), env={**CLEAN_ENV, "HOME": str(folder)}))
    if made.returncode != 0:
        return None, f"the C compiler fails: {made.tail(3)}"
    return library, ""

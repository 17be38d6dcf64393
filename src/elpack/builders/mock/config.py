"""Writes mock's configuration for one build root: the distribution's own, then what makes all builders agree."""

from __future__ import annotations

import difflib
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.builders.environment import ENVIRONMENT, HOSTNAME, MACROS
from elpack.errors import ConfigError, Problem
from elpack.tools.dnf import folder, is_folder, section

if TYPE_CHECKING:
    from collections.abc import Iterable

    from elpack.builders import Repository
    from elpack.model import Target

STANDIN = "el9-standin"
DISTRIBUTIONS = ("rhel-9", "centos-stream-9", "alma-9", "rocky-9", STANDIN)
"""The configurations shipped beside this module; with ``+epel``, the real ones see EPEL as well."""

_EPEL = "+epel"


def configuration(
    target: Target, distribution: str, base: tuple[Repository, ...], extra: tuple[Repository, ...], salt: str
) -> str:
    """Return the text of a mock configuration, which is Python.

    base: the target's own repositories; only the stand-in needs them, mock knows where the others are.
    salt: what else tells this root from other roots, such as whose it is.
    Raises ConfigError for an unknown distribution.
    """
    name, epel = _parse(distribution)
    packages = [*target.buildroot, *(["epel-rpm-macros"] if epel else [])]
    repositories = (*(base if name == STANDIN else ()), *extra)
    body = [
        _shipped(name),
        *([_shipped("epel-9")] if epel else []),
        _set("description", f"{target.title}, by elpack"),
        _set("target_arch", target.arch),
        # on another host mock turns to emulation by itself
        _set("legal_host_arches", (target.arch,)),
        _set("chroot_setup_cmd", " ".join(("install", *packages))),
        _set("rpmbuild_networking", value=False),
        _set("use_host_resolv", value=False),
        _set("hostname", HOSTNAME),
        f"config_opts['environment'].update({dict(ENVIRONMENT)!r})\n",
        f"config_opts['macros'].update({ {f'%{macro}': value for macro, value in MACROS.items()}!r})\n",
    ]
    text = "".join(body)
    # equal names share mock's caches, so the name tells apart whatever a fresh root is made from; that is the base
    digest = hashlib.sha256("\n".join((text, salt, *_contents(base))).encode()).hexdigest()[:12]
    text += _set("root", f"elpack-{target.name}-{target.arch}-{digest}")
    return f"# Written by elpack.\n{text}config_opts['dnf.conf'] += {''.join(map(section, repositories))!r}\n"


def _parse(distribution: str) -> tuple[str, bool]:
    name = distribution.removesuffix(_EPEL)
    epel = name != distribution
    if name not in DISTRIBUTIONS or (epel and name == STANDIN):
        near = difflib.get_close_matches(name, DISTRIBUTIONS, 1)
        what = f"{distribution!r} is not a distribution that elpack has a mock configuration for"
        fix = f"did you mean {near[0]}?" if near else f"one of {', '.join(DISTRIBUTIONS)}"
        raise ConfigError(Problem(what, fix=fix))
    return name, epel


def _shipped(name: str) -> str:
    """Return the file's text: mock may read its configuration as a user who cannot see where elpack lives."""
    return Path(__file__).with_name(f"{name}.cfg").read_text(encoding="utf-8")


def _contents(repositories: Iterable[Repository]) -> list[str]:
    repomds = [folder(repository) / "repodata" / "repomd.xml" for repository in repositories if is_folder(repository)]
    return [hashlib.sha256(repomd.read_bytes()).hexdigest() for repomd in repomds if repomd.exists()]


def _set(option: str, value: object) -> str:
    return f"config_opts[{option!r}] = {value!r}\n"

"""The [images] table of the release file: how images of the application are made, run and named."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from elpack.config.values import absolute_path, asset_place, each, matching, one_of, positive, relative_path
from elpack.images.model import BuildVariable, Flavour, Images, Mode, Pypy, RustDist
from elpack.images.smoke import ImageSmoke
from elpack.naming import dist_name
from elpack.service import KILL_SIGNALS
from elpack.targets import known_targets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.utils import NormalizedName

    from elpack.service import Service
    from elpack.tables import Table

# the distribution specification's form of a name, behind a host that has a dot, a port, or is localhost
_REPOSITORY = re.compile(
    r"(?:localhost|[a-z0-9-]+(?:\.[a-z0-9-]+)+|[a-z0-9-]+(?=:)|\[[0-9a-f:]+\])(?::[1-9][0-9]{0,4})?"
    r"(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)+\Z"
)
_BASE = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_CRATE = re.compile(r"[A-Za-z0-9_-]+\Z")
_CRATE_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+){0,2}\Z")
_KEY = re.compile(r"(?:~/)?[A-Za-z0-9._@+-][A-Za-z0-9/._@+-]*\Z|/[A-Za-z0-9/._@+-]+\Z")
# all of the root, whole folders of the system, and those that the kernel or the engine fills
_NO_VOLUME = re.compile(r"/(/|(bin|boot|dev|lib|lib32|lib64|proc|run|sbin|sys|tmp|usr)/|(etc|home|opt|var)/\Z)")
_LAST_PORT = 65535
_USERS = range(1, 65534)
_LONGEST_NAME = 255


def read_images(table: Table, service: Service | None) -> Images:
    """Return how images are made. What the table leaves out is taken from the service; mistakes are noted."""
    default = Images()
    images = Images(
        repository=table.parsed("repository", image_repository, "") or "" if table.has("repository") else "",
        flavours=_flavours(table) if table.has("flavours") else default.flavours,
        mode=Mode(table.parsed("mode", one_of(tuple(Mode)), default.mode) or default.mode),
        command=_words(table, "command"),
        health=_words(table, "health"),
        health_interval=positive(table, "health-interval", default.health_interval),
        start_timeout=positive(table, "start-timeout", service.start_timeout if service else default.start_timeout),
        stop_signal=table.parsed(
            "stop-signal", one_of(KILL_SIGNALS), service.kill_signal if service else default.stop_signal
        )
        or default.stop_signal,
        stop_timeout=positive(table, "stop-timeout", service.stop_timeout if service else default.stop_timeout),
        user=_user(table, default.user),
        ports=_ports(table),
        data=table.parsed("data", _data, default.data) or default.data,
        environment=_environment(table.table("environment")),
        bases=_bases(table.table("bases")),
        key=table.parsed("key", matching(_KEY, "the path of a file"), "") or "" if table.has("key") else "",
        mounts=_mounts(table.table("mounts")),
        smoke=_smoke(table.table("smoke")),
        pypy=_pypy(table.table("pypy")),
    )
    table.done()
    return images


def image_repository(text: str) -> str:
    """Return where an image lies in a registry, with its host and without tag. Raises ValueError."""
    if len(text) > _LONGEST_NAME or not _REPOSITORY.match(text) or not _is_host(text.partition("/")[0]):
        raise ValueError(f"{text!r} is not of the form registry.example.org/path/name, without tag or digest")
    return text


def _is_host(text: str) -> bool:
    """Tell whether a host with its port can be one: no form tells how long its parts are, nor how large numbers."""
    try:
        parts = urlsplit(f"https://{text}")
        return bool(parts.hostname and parts.hostname.encode("idna") and parts.port != 0)
    except ValueError:
        return False


def _flavours(table: Table) -> tuple[Flavour, ...]:
    found = tuple(dict.fromkeys(Flavour(text) for text in each(table, "flavours", one_of(tuple(Flavour)))))
    if not found:
        table.problem(
            "flavours", "expected at least one", fix=f"flavours = [{', '.join(map(repr, map(str, Flavour)))}]"
        )
    return found


def _words(table: Table, key: str) -> tuple[str, ...]:
    words = table.strings(key)
    if any(not word.isprintable() for word in words):
        table.problem(key, "an argument holds control characters")
    return words


def _user(table: Table, default: int) -> int:
    before = len(table.problems)
    user = table.get("user", int, default)
    if user not in _USERS and len(table.problems) == before:
        table.problem("user", f"expected {_USERS[0]} to {_USERS[-1]}, found {user}: never root")
    return user


def _ports(table: Table) -> tuple[int, ...]:
    found: list[int] = []
    for port in table.get("ports", list, []):
        if type(port) is not int or not 1 <= port <= _LAST_PORT:
            table.problem("ports", f"expected numbers from 1 to {_LAST_PORT}, found {port!r:.40}")
        elif port not in found:
            found.append(port)
    return tuple(found)


def _data(text: str) -> str:
    """Return where the volume is: no folder that the image's own files are in, or the system's."""
    path = absolute_path(text)
    if _NO_VOLUME.match(f"{path}/"):
        raise ValueError(f"{text!r} holds what the image itself needs: a volume would hide it")
    return path


def _environment(table: Table) -> Mapping[str, str]:
    found = {key: table.get(key, str) for key in table.values}
    for key, value in found.items():
        if not _VARIABLE.match(key) or not value.isprintable():
            table.problem(key, "an environment holds names of letters, digits and _, and text of one line")
    return found


def _bases(table: Table) -> Mapping[str, str]:
    found = {}
    for target in table.values:
        if target.removesuffix("-pypy") not in known_targets():
            table.problem(target, "unknown target", fix=f"known targets: {', '.join(known_targets())}")
        elif name := table.parsed(target, matching(_BASE, "a base's name: small letters, digits, dots, dashes")):
            found[target] = name
    return found


def _mounts(table: Table) -> Mapping[str, str]:
    """Return the files that are mounted, by their place in the image."""
    found = {}
    for place in table.values:
        try:
            asset_place(place)
        except ValueError as error:
            table.problem(place, str(error))
        if source := table.parsed(place, relative_path):
            found[place] = source
    return found


def _smoke(table: Table) -> ImageSmoke:
    smoke = ImageSmoke(
        steps=table.strings("steps"),
        outside=table.strings("outside"),
        kept=tuple(each(table, "kept", relative_path)),
    )
    table.done()
    return smoke


def _pypy(table: Table) -> Pypy:
    texts, commands = table.table("expect"), table.table("run")
    pypy = Pypy(
        {name: texts.strings(name) for name in texts.values},
        tuple(map(_variable, table.tables("build-env"))),
        tuple(map(_rust, table.tables("rust"))),
        {name: commands.strings(name) for name in commands.values},
    )
    for name, words in pypy.run.items():
        if not words or any("\0" in word for word in words):
            commands.problem(name, "expected a command, word by word, without NUL")
    table.done()
    return pypy


def _rust(table: Table) -> RustDist:
    versions = table.table("versions")
    version = matching(_CRATE_VERSION, "a crate's version, such as 0.28")
    found = {name: versions.parsed(name, version) or "" for name in versions.values}
    for name in found:
        if not _CRATE.match(name):
            versions.problem(name, "a crate's name has letters, digits, - and _")
    rust = RustDist(_dist_of(table), found, _reason_of(table))
    table.done()
    return rust


def _dist_of(table: Table) -> NormalizedName:
    return table.parsed("dist", dist_name) or dist_name("unknown")


def _reason_of(table: Table) -> str:
    reason = table.get("reason", str)
    if not reason.strip() or not reason.isprintable():
        table.problem("reason", "expected one line that says what it is for")
    return reason


def _variable(table: Table) -> BuildVariable:
    name, value = table.get("name", str), table.get("value", str)
    if not _VARIABLE.match(name) or not value.isprintable():
        table.problem("name", "an environment holds names of letters, digits and _, and text of one line")
    found = BuildVariable(_dist_of(table), name, value, _reason_of(table))
    table.done()
    return found

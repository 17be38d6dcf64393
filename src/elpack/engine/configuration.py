"""Where a podman of elpack's own keeps its things, and the files that configure it. The user's count for nothing."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.errors import EngineError, Problem
from elpack.fetch.credentials import User, auth_files
from elpack.run import CLEAN_ENV, run

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST_SOCKET = 107
"""Bytes of a Unix socket's path (unix(7))."""
_FILES, _PROCESSES = 20_000, 30_000
"""What a container may open and start; less where we may not have as much ourselves."""
_FROM_USER = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "XDG_RUNTIME_DIR")
"""What of the user's environment a pull needs."""
_UNIFIED = Path("/sys/fs/cgroup/cgroup.controllers")
# builds name their bases by digest, and what comes from a registry is judged where it is pulled for use
_POLICY = {"default": [{"type": "insecureAcceptAnything"}]}


@dataclass(frozen=True, slots=True)
class Place:
    """The folders of our podman: images below `home`, and what is of no meaning to a later run below `live`."""

    home: Path
    live: Path

    @property
    def socket(self) -> Path:
        """Where the service listens."""
        return self.live / "s"

    @property
    def log(self) -> Path:
        """What the service says."""
        return self.home / "service.log"

    @property
    def layers(self) -> Path:
        """Compressed layers, by the digest of what is in them."""
        return self.home / "layers"

    @property
    def busy(self) -> Path:
        """Is there while a service runs, and after one that was killed."""
        return self.home / "busy"


def place(work: Path) -> Place:
    """Return where our podman is. The name of `live` hangs on the work folder alone, for podman remembers it."""
    home = work.resolve() / "containers"
    name = f"elpack-{hashlib.sha256(os.fsencode(home)).hexdigest()[:12]}"
    run_time = "/run" if os.geteuid() == 0 else os.environ.get("XDG_RUNTIME_DIR") or "/tmp"  # noqa: S108 - checked below
    return Place(home, Path(run_time, name))


def prepare(where: Place) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Write the files, and return podman's environment and what the user should know. Raises `EngineError`."""
    _make_live(where)
    settings, home = where.home / "etc", where.home / "user"
    networks = settings / "networks"
    for folder in (networks, where.home / "tmp", where.layers, home / ".config/containers"):
        folder.mkdir(parents=True, exist_ok=True)
    driver, options, notices = _driver(where.home)
    texts = {
        settings / "containers.conf": _containers(where),
        settings / "storage.conf": _storage(where, driver, options),
        settings / "registries.conf": "",
        networks / "podman.json": _bridge(where),
        home / ".config/containers/policy.json": json.dumps(_POLICY, indent=2) + "\n",
    }
    for path, text in texts.items():
        path.write_text(text)
    _trust(home)
    environment = {
        **CLEAN_ENV,
        "HOME": str(home),
        "TMPDIR": str(where.home / "tmp"),
        "CONTAINERS_CONF": str(settings / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(settings / "storage.conf"),
        "CONTAINERS_REGISTRIES_CONF": str(settings / "registries.conf"),
        **_of_user(),
    }
    return environment, notices


def _make_live(where: Place) -> None:
    """Make the folder of the socket anew: podman takes that for a restart of the machine, and forgets what ran."""
    if len(os.fsencode(where.socket)) > _LONGEST_SOCKET:
        raise EngineError(Problem("the path of podman's socket is too long", str(where.socket)))
    try:
        where.live.mkdir(mode=0o700, exist_ok=True)
        found = where.live.lstat()
    except OSError as error:
        fix = "set XDG_RUNTIME_DIR to a folder of yours"
        raise EngineError(
            Problem(f"no folder for podman's socket: {error.strerror}", str(where.live), fix=fix)
        ) from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        why = "others may write there, or it is somebody else's"
        raise EngineError(Problem("podman's socket cannot be there", str(where.live), why, f"rm -r {where.live}"))
    for path in where.live.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _driver(home: Path) -> tuple[str, Mapping[str, str], tuple[str, ...]]:
    """Return the storage driver, its options, and what to say of it."""
    if _file_system(home) != "overlay":
        return "overlay", {}, ()
    if (fuse := shutil.which("fuse-overlayfs", path=CLEAN_ENV["PATH"])) and Path("/dev/fuse").exists():
        return "overlay", {"mount_program": fuse}, ("images lie on an overlay file system: fuse-overlayfs is slower",)
    notice = (
        "images lie on an overlay file system: every layer is a whole copy, which takes time and space (driver vfs)"
    )
    return "vfs", {}, (notice,)


def _file_system(path: Path) -> str:
    """Return what the kernel calls the file system of a folder."""
    best, kind = Path("/"), ""
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
        words = line.split(" ")
        at = Path(words[4].replace("\\040", " "))
        if path.is_relative_to(at) and len(at.parts) >= len(best.parts):
            best, kind = at, words[words.index("-") + 1]
    return kind


def _containers(where: Place) -> str:
    limits = [
        f"nofile={_limit(resource.RLIMIT_NOFILE, _FILES)}",
        f"nproc={_limit(resource.RLIMIT_NPROC, _PROCESSES)}",
    ]
    engine: dict[str, object] = {
        "events_logger": "file",
        "static_dir": str(where.home / "libpod"),
        "tmp_dir": str(where.live / "libpod"),
        "volume_path": str(where.home / "volumes"),
        "image_copy_tmp_dir": str(where.home / "tmp"),
        **({"runtime": runtime} if (runtime := _runtime()) else {}),
        # systemd would be told process numbers of another namespace
        **({"cgroup_manager": "cgroupfs"} if os.geteuid() == 0 else {}),
    }
    tables: dict[str, Mapping[str, object]] = {
        "containers": {"default_ulimits": limits, "http_proxy": False},  # proxies are the pull's, no container's
        "engine": engine,
        "network": {"network_config_dir": str(where.home / "etc/networks")},
    }
    return "".join(_toml(name, table) for name, table in tables.items())


def _bridge(where: Place) -> str:
    """Return the default network: a bridge that is neither the user's podman's nor that of another work folder."""
    key = hashlib.sha256(os.fsencode(where.home)).hexdigest()
    subnet = f"10.{200 + int(key[:2], 16) % 50}.{int(key[2:4], 16)}"
    network = {
        "name": "podman",
        "id": key,
        "driver": "bridge",
        "network_interface": f"elpack{key[:8]}",
        "created": "2026-01-01T00:00:00Z",
        "subnets": [{"subnet": f"{subnet}.0/24", "gateway": f"{subnet}.1"}],
        "ipv6_enabled": False,
        "internal": False,
        "dns_enabled": False,
        "ipam_options": {"driver": "host-local"},
    }
    return json.dumps(network, indent=2) + "\n"


def _runtime() -> str:
    """Return the OCI runtime. crun refuses a machine that has cgroups of both versions, runc does not."""
    found = [name for name in ("crun", "runc") if shutil.which(name, path=CLEAN_ENV["PATH"])]
    if not _UNIFIED.exists():
        found.reverse()
    return found[0] if found else ""


def _limit(kind: int, wanted: int) -> str:
    hard = resource.getrlimit(kind)[1]
    number = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    return f"{number}:{number}"


def _storage(where: Place, driver: str, options: Mapping[str, str]) -> str:
    table = {"driver": driver, "graphroot": str(where.home / driver), "runroot": str(where.live / "run")}
    return _toml("storage", table) + _toml("storage.options.overlay", options)


def _toml(name: str, values: Mapping[str, object]) -> str:
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in values.items()]
    return f"[{name}]\n{''.join(lines)}\n"


def _trust(home: Path) -> None:
    """Let the certificates that the user trusts for a registry count here as well."""
    link, target = home / ".config/containers/certs.d", Path.home() / ".config/containers/certs.d"
    link.unlink(missing_ok=True)
    if target.is_dir():
        link.symlink_to(target)


def _of_user() -> Mapping[str, str]:
    names = (*_FROM_USER, *(name.lower() for name in _FROM_USER))
    found = {name: os.environ[name] for name in names if os.environ.get(name)}
    files = auth_files(User(os.environ, Path.home(), run))
    first = next((str(path) for path in files if path.exists()), "")
    return {**found, "REGISTRY_AUTH_FILE": first} if first else found

"""The files of a system service: unit, sysusers entry. Values in, text out; nothing unescaped gets in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import jinja2

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.@-]*\Z")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,30}\Z")
_PATH = re.compile(r"/[A-Za-z0-9/._@+-]*\Z")
_URI = re.compile(r"(?:https?://|man:|info:|file:/)[A-Za-z0-9:/?#\[\]@!$&'()*+,;=._~-]+\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_PLAIN_WORD = re.compile(r"[A-Za-z0-9/._@:=,+-]+\Z")
_GECOS_FORBIDDEN = re.compile(r'[:"\\]')
# EL9's %sysusers_create_compat has a shell read the file while the spec is parsed, and again at the installation.
_NOT_FOR_SHELL = re.compile(r"[^\w .,/()+@=-]")
TYPES = ("notify", "exec", "simple")
KILL_SIGNALS = ("SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP")


@dataclass(frozen=True, slots=True)
class Directive:
    """One line of hardening: what it says to systemd and, as the unit's comment, why."""

    name: str
    value: str
    why: str


HARDENING: tuple[Directive, ...] = (
    Directive("NoNewPrivileges", "yes", "No setuid program gives privileges back."),
    Directive("CapabilityBoundingSet", "", "No capabilities: a port below 1024 needs a drop-in."),
    Directive("AmbientCapabilities", "", ""),
    Directive("ProtectSystem", "strict", "All is read-only but the directories named above and /tmp."),
    Directive("ProtectHome", "yes", "Nothing in home directories is for a service."),
    Directive("PrivateTmp", "yes", "A /tmp of its own, so that names there cannot be guessed by others."),
    Directive("PrivateDevices", "yes", "No devices but null, zero, random and terminals."),
    Directive("ProtectKernelTunables", "yes", "The kernel, its clock and its logs are not a service's to change."),
    Directive("ProtectKernelModules", "yes", ""),
    Directive("ProtectKernelLogs", "yes", ""),
    Directive("ProtectControlGroups", "yes", ""),
    Directive("ProtectClock", "yes", ""),
    Directive("ProtectHostname", "yes", ""),
    Directive("ProtectProc", "invisible", "Other users' processes are hidden; /proc itself stays, psutil reads it."),
    Directive(
        "RestrictAddressFamilies",
        "AF_UNIX AF_INET AF_INET6 AF_NETLINK",
        "The network, the way to systemd, and getifaddrs.",
    ),
    Directive("RestrictNamespaces", "yes", "No new namespaces, setuid files or real-time priority."),
    Directive("RestrictSUIDSGID", "yes", ""),
    Directive("RestrictRealtime", "yes", ""),
    Directive(
        "LockPersonality", "yes", "One personality and one ABI: a filter for one cannot be evaded through another."
    ),
    Directive("SystemCallArchitectures", "native", ""),
    Directive(
        "SystemCallFilter", "@system-service", "What services use; the rest is answered with EPERM, not with a kill."
    ),
    Directive("SystemCallFilter", "~@privileged", ""),
    Directive("SystemCallErrorNumber", "EPERM", ""),
    Directive("RemoveIPC", "yes", "What the service leaves behind in shared memory goes with it."),
    Directive("MemoryDenyWriteExecute", "yes", "No memory is both written and run."),
    Directive("UMask", "0027", "Keys and state are the service's own."),
)
"""What every service gets unless its release says, with a reason, that it cannot."""


@dataclass(frozen=True, slots=True)
class Service:
    """A system service as its release describes it, checked on construction.

    `name` is the unit's without suffix. `exec_start` is an argument vector whose program is an absolute path.
    `state_directory` is relative to /var/lib, as systemd wants it. `without` turns off a hardening directive; its
    value is the reason, printed into the unit. Times are seconds; `open_files` 0 leaves systemd's own limit.

    Raises ValueError for a value that systemd would misread.
    """

    name: str
    description: str
    user: str
    exec_start: tuple[str, ...]
    group: str = ""
    documentation: tuple[str, ...] = ()
    type: str = "notify"
    kill_signal: str = "SIGTERM"
    state_directory: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    start_timeout: int = 90
    stop_timeout: int = 30
    restart_delay: int = 2
    open_files: int = 0
    without: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _require(_NAME.match(self.name), "name", self.name)
        _require(_USER.match(self.user), "user", self.user)
        _require(_USER.match(self.effective_group), "group", self.group)
        _require(self.type in TYPES, "type", self.type)
        _require(self.kill_signal in KILL_SIGNALS, "kill_signal", self.kill_signal)
        _require(
            self.description.strip() and not _GECOS_FORBIDDEN.search(self.description), "description", self.description
        )
        _require(self.exec_start and _PATH.match(self.exec_start[0]), "exec_start", " ".join(self.exec_start))
        _require(
            not self.state_directory or _is_plain_relative(self.state_directory),
            "state_directory",
            self.state_directory,
        )
        for url in self.documentation:
            _require(_URI.match(url), "documentation", url)
        for variable in self.environment:
            _require(_VARIABLE.match(variable), "environment", variable)
        for directive in self.without:
            _require(directive in {known.name for known in HARDENING}, "without", directive)
        for key, text in self._free_texts():
            _require(text.isprintable() and not text.endswith("\\"), key, text)

    @property
    def effective_group(self) -> str:
        """The group, which is named like the user unless said otherwise."""
        return self.group or self.user

    @property
    def home(self) -> str:
        """The user's home: the state directory, or / when there is none."""
        return f"/var/lib/{self.state_directory}" if self.state_directory else "/"

    def _free_texts(self) -> list[tuple[str, str]]:
        texts = [("description", self.description)]
        texts += [("exec_start", word) for word in self.exec_start]
        texts += [("environment", value) for value in self.environment.values()]
        return texts + [("without", reason) for reason in self.without.values()]


def render_unit(service: Service) -> str:
    """Return the text of NAME.service."""
    return _template("service.j2").render(
        service=service,
        exec_start=_command_line(service.exec_start),
        description=_specifiers(service.description),
        documentation=" ".join(_specifiers(url) for url in service.documentation),
        environment=[_quote(f"{name}={value}") for name, value in sorted(service.environment.items())],
        hardening=[directive for directive in HARDENING if directive.name not in service.without],
    )


def render_sysusers(service: Service) -> str:
    """Return the text of sysusers.d/NAME.conf: the user, its group, home and a shell that refuses."""
    return _template("sysusers.j2").render(
        service=service, description=_NOT_FOR_SHELL.sub("", service.description), nologin="/usr/sbin/nologin"
    )


def _template(name: str) -> jinja2.Template:
    loader = jinja2.PackageLoader("elpack", "templates")
    environment = jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - the output is no HTML, and every value was checked or quoted above
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(name)


def _command_line(words: tuple[str, ...]) -> str:
    """Quote an argument vector as systemd.service(5) reads it; ``$`` is literal, as nothing is expanded here."""
    return " ".join(_quote(word.replace("$", "$$")) for word in words)


def _quote(word: str) -> str:
    """Quote one word of a unit: specifiers, and whatever splits, quotes or escapes, a lone ``;`` included."""
    word = _specifiers(word)
    if _PLAIN_WORD.match(word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _specifiers(text: str) -> str:
    return text.replace("%", "%%")


def _is_plain_relative(path: str) -> bool:
    return bool(_PATH.match(f"/{path}")) and not path.startswith("/") and ".." not in PurePosixPath(path).parts


def _require(condition: object, key: str, value: str) -> None:
    if not condition:
        raise ValueError(f"{key}: {value!r} cannot stand in a systemd unit")

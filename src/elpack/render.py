"""Spec files from the plan. Every value is escaped on its way into the text; the templates decide nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from elpack.errors import PlanError, Problem
from elpack.escape import absolute, comment, for_spec, is_word, paragraph, pattern, quoted_pattern, word
from elpack.naming import rpm_version
from elpack.plan.model import Role

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator

    import jinja2

    from elpack.plan.model import InstalledFile, NodeId, Package, Plan, Source

_HASHED = re.compile(r"-[0-9a-f]{8}[.]so")
_ANY_HASHED = "lib[^/]*-[0-9a-f]{8}[.]so[^/]*"
_BLANK_LINES = re.compile(r"\n{3,}")
_OPEN_LINE = re.compile(r"\\$", re.MULTILINE)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_OWN = (Role.MACROS, Role.RUNTIME)
# folders of the system, where a package leaves files and owns no folder: /etc/logrotate.d, /usr/share/man/man1 …
_SYSTEM_FOLDER = re.compile(
    r"/|/(opt|srv|var(/(lib|log|cache))?)|/etc(/[a-z]+\.d|/sysconfig|/default|/(pki|systemd)(/.*)?)?"
    r"|/usr(/(bin|sbin|lib|libexec|share))?|/usr/(lib|share)/([a-z]+\.d|(man|systemd|bash-completion|licenses)(/.*)?)"
)

_FOLDER_MACROS = {"/usr/lib/systemd/system/": "%{_unitdir}/", "/usr/lib/sysusers.d/": "%{_sysusersdir}/"}
"""Those that do not follow the prefix."""


@dataclass(frozen=True, slots=True)
class Raw:
    """Text that goes into a spec as it is: elpack's own, macros and all, or escaped before."""

    text: str


def render_all(plan: Plan, packager: str, revision: int) -> dict[NodeId, str]:
    """Return every spec of a plan. Raises `PlanError` with all values that cannot stand in a spec."""
    specs, problems = {}, []
    for package in plan.packages:
        try:
            specs[package.node] = render_spec(package, plan, packager, revision)
        except ValueError as error:
            problems.append(Problem(str(error), where=f"{package.dist} {package.upstream_version}"))
    if problems:
        raise PlanError(*problems)
    return specs


def render_spec(package: Package, plan: Plan, packager: str, revision: int) -> str:
    """Return the spec of one package of a plan. Raises ValueError for a value that no spec can hold safely."""
    nodes = plan.by_node()
    waits = [nodes[node] for node in package.waits_for if nodes[node].role is not Role.MACROS]
    text = _template(package.template).render(
        package=package,
        sources=[*map(_source, package.sources), *(word(name) for name, _ in package.generated)],
        installed=list(_installed(package)),
        own_folders=own_folders(package.installed),
        needs=[_Need.of(nodes[node]) for node in sorted(package.needs)],
        provides=[Raw(text) for text in (*map(_provide, package.provides), *_own_configuration(package))],
        tools=[_Need.of(wait) for wait in waits if wait.role is Role.BUILDROOT],
        imports=[_Need.of(wait) for wait in waits if wait.role is not Role.BUILDROOT],
        runtime=next((one.rpm for one in plan.packages if one.role is Role.RUNTIME), ""),
        extras=package.extras,
        dist_info=Raw("/usr/lib*/python%{python3_pkgversion}/site-packages/*.dist-info"),
        licences=[] if package.licence_in_metadata else _licence_words(package),
        docs=[name for name in package.readme_files if is_word(name) and not package.pinned],
        release=plan.release,
        revision=revision,
        packager=packager,
        python=plan.target.python,
        python_pattern=Raw(pattern(plan.target.python)),
        interpreter=plan.target.interpreter,
        vendored=Raw("".join(f"{name}|" for name in _vendored(package))),
        purpose=_purpose(package, plan),
        bundled=[Raw(for_spec(provide)) for provide in package.bundled],
        machine_code=bool(package.native) and package.role.at_run_time,
        hardening_options=Raw("".join(f" -x {quoted_pattern(path)}" for path in package.not_hardened)),
        finish_options=Raw(_finish_options(package)),
        has_licences=bool(_licence_words(package)),
        changes=list(_changes(package, revision)),
    )
    # rpm joins a line that ends in a backslash with the next one; a blank behind it says nothing else
    return _BLANK_LINES.sub("\n\n", _OPEN_LINE.sub(r"\\ ", text))


@dataclass(frozen=True, slots=True)
class _Change:
    date: str
    evr: str
    lines: tuple[str, ...]


def _changes(package: Package, revision: int) -> Iterator[_Change]:
    """Yield the changelog's entries. The newest has the package's date, which all of its files are given."""
    if not package.changelog:
        name = package.rpm if package.role in _OWN else package.dist
        yield _Change(
            changelog_date(package.date),
            f"{package.evr.version}-{revision}",
            (f"{name} {package.upstream_version}",),
        )
    for position, entry in enumerate(package.changelog):
        date = entry.date if position else package.date
        yield _Change(changelog_date(date), f"{rpm_version(entry.version)}-{entry.revision}", entry.text)


def changelog_date(date: dt.date) -> str:
    """Return a date as %changelog wants it in any locale: ``Fri Nov 20 2026``."""
    return f"{_DAYS[date.weekday()]} {_MONTHS[date.month - 1]} {date.day:02} {date.year}"


def own_folders(files: tuple[InstalledFile, ...]) -> list[str]:
    """Return the folders that come with installed files and that no package of the system owns, parents first."""
    parents = {str(parent) for file in files for parent in PurePosixPath(file.destination).parents}
    return sorted(parent for parent in parents if not _SYSTEM_FOLDER.fullmatch(parent))


@dataclass(frozen=True, slots=True)
class _Need:
    rpm: str
    version: str

    @staticmethod
    def of(package: Package) -> _Need:
        epoch = f"{package.evr.epoch}:" if package.evr.epoch else ""
        return _Need(package.rpm, f"{epoch}{package.evr.version}")


@dataclass(frozen=True, slots=True)
class _Installed:
    """One file of the release's own: the macro of its source, where it goes, and its line under %files."""

    source: Raw
    destination: Raw
    mode: str
    line: Raw
    sysusers: bool


def _source(source: Source) -> str:
    """Return what stands behind ``Source0:``; rpm takes what follows the last slash as the file's name."""
    name = word(source.filename)
    if not source.url:
        return name
    return source.url if source.url.rpartition("/")[2] == name else f"{source.url}#/{name}"


def _installed(package: Package) -> Iterator[_Installed]:
    names = [source.filename for source in package.sources] + [name for name, _ in package.generated]
    for file in package.installed:
        path, mode = _spelt(absolute(file.destination)), f"{file.mode:04o}"
        line = path
        if path.startswith("/usr/share/man/"):
            # brp-compress may add a suffix; rpm looks for man pages to mark below the redefined prefix only
            line = f"%doc {path}*"
        if file.group != "root":
            line = f"%attr({mode}, root, {word(file.group)}) {line}"
        if file.config:
            line = f"%config(noreplace) {line}"
        source = Raw(f"%{{SOURCE{names.index(file.source)}}}")
        yield _Installed(source, Raw(path), mode, Raw(line), "/sysusers.d/" in file.destination)


def _spelt(path: str) -> str:
    for folder, macro in _FOLDER_MACROS.items():
        path = path.replace(folder, macro) if path.startswith(folder) else path
    return path


def _provide(name: str) -> str:
    return for_spec(name) if " = " in name else f"{for_spec(name)} = %{{version}}-%{{release}}"


def _own_configuration(package: Package) -> Iterator[str]:
    """Yield what rpm has a package with configuration require of itself, where it does not look for Provides."""
    if package.pinned and not package.noarch and any(file.config for file in package.installed):
        yield f"config({package.rpm}) = %{{?epoch:%{{epoch}}:}}%{{version}}-%{{release}}"


def _vendored(package: Package) -> list[str]:
    """Return patterns of the libraries that wheels carry inside.

    auditwheel puts a hash into their names, another one for each architecture; a bundle's spec serves them all.
    """
    names = package.vendored_sonames
    if package.role is not Role.BUNDLE:
        return [pattern(name) for name in names]
    hashed = [name for name in names if _HASHED.search(name)]
    return [*([_ANY_HASHED] if hashed else []), *(pattern(name) for name in names if name not in hashed)]


def _purpose(package: Package, plan: Plan) -> str:
    if not package.pinned:
        return ""
    if package.role is Role.BUILDROOT:
        return f"It is needed to build {plan.release} and is not published."
    if package.role in (Role.APPLICATION, Role.BUNDLE):
        return f"It runs in a private Python environment in {package.prefix} that nothing else on the system sees."
    return (
        f"For the private Python environment of {plan.release} in {package.prefix}; nothing else on the system sees it."
    )


def _finish_options(package: Package) -> str:
    options = [f"-d {word(path)}" for path in package.drop]
    options += [f"-k {word(path)}" for path in package.keep_source]
    options += [f"-m {quoted_pattern(f'{path}={count}')}" for path, count in package.must_have]
    if package.script_suffix:
        options.append(f"-s {word(package.script_suffix.removeprefix('-'))}")
    if package.template != "wheel.spec.j2":
        options += [f"-l {name}" for name in _licence_words(package)]
        options.append("-n" if package.native else "-p")
    return "".join(f" {option}" for option in options)


def _licence_words(package: Package) -> list[str]:
    return [name for name in package.licence_files if is_word(name)]


def _finalize(value: Any) -> str:
    return value.text if isinstance(value, Raw) else for_spec(value)


def _raw(function: Callable[[str], str]) -> Callable[[str], Raw]:
    """Return a filter whose result has several lines, each of them escaped."""
    return lambda text: Raw(function(text))


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(  # noqa: S701 - a spec is no HTML; `finalize` escapes for rpm
        loader=jinja2.PackageLoader("elpack"),
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "word": word,
        "absolute": absolute,
        "comment": _raw(comment),
        "paragraph": _raw(paragraph),
    }
    return environment


@cache
def _template(name: str) -> jinja2.Template:
    return _environment().get_template(name)

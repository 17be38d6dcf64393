"""Spec files from the plan. Every value is escaped on its way into the text; the templates decide nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from elpack.errors import PlanError, Problem
from elpack.escape import for_spec
from elpack.plan.model import Role

if TYPE_CHECKING:
    import datetime as dt

    import jinja2

    from elpack.plan.model import NodeId, Package, Plan

_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+=:@/-]*\Z")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Raw:
    """Text of elpack's own that goes into a spec as it is, macros and all."""

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
    return _template(package.template).render(
        package=package,
        sources=[*package.sources, *(_Generated(name) for name, _ in package.generated)],
        needs=[_Need.of(nodes[node]) for node in sorted(package.needs)],
        tools=[_Need.of(wait) for wait in waits if wait.role is Role.BUILDROOT],
        imports=[_Need.of(wait) for wait in waits if wait.role is not Role.BUILDROOT],
        runtime=nodes[next(node for node in nodes if nodes[node].role is Role.RUNTIME)].rpm,
        release=plan.release,
        revision=revision,
        packager=packager,
        python=plan.target.python,
        python_pattern=Raw(_pattern(plan.target.python)),
        interpreter=plan.target.interpreter,
        vendored=Raw("|".join(_pattern(name) for name in package.vendored_sonames)),
        purpose=_purpose(package, plan),
        finish_options=Raw(_finish_options(package)),
        changelog_date=changelog_date(package.date),
        scriptlets=(),
    )


def changelog_date(date: dt.date) -> str:
    """Return a date as %changelog wants it in any locale: ``Fri Nov 20 2026``."""
    return f"{_DAYS[date.weekday()]} {_MONTHS[date.month - 1]} {date.day:02} {date.year}"


@dataclass(frozen=True, slots=True)
class _Generated:
    filename: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class _Need:
    rpm: str
    version: str

    @staticmethod
    def of(package: Package) -> _Need:
        epoch = f"{package.evr.epoch}:" if package.evr.epoch else ""
        return _Need(package.rpm, f"{epoch}{package.evr.version}")


def _purpose(package: Package, plan: Plan) -> str:
    if package.role is Role.BUILDROOT:
        return f"It is needed to build {plan.release} and is not published."
    if package.role is Role.APPLICATION:
        return f"It runs in a private Python environment in {package.prefix} that nothing else on the system sees."
    return (
        f"For the private Python environment of {plan.release} in {package.prefix}; nothing else on the system sees it."
    )


def _finish_options(package: Package) -> str:
    options = [f"-d {_word(path)}" for path in package.drop]
    options += [f"-k {_word(path)}" for path in package.keep_source]
    if package.template == "sdist.spec.j2":
        options += [f"-l {_word(name)}" for name in package.licence_files if _WORD.match(name)]
        options.append("-n" if package.native else "-p")
    return "".join(f" {option}" for option in options)


def _pattern(text: str) -> str:
    """Return an extended regular expression for the literal text, without a backslash, which macros would eat."""
    return re.sub(r"([^A-Za-z0-9_-])", r"[\1]", text)


def _word(value: object) -> str:
    """Return a value that stands in shell or a file list unquoted. Raises ValueError when it could not."""
    text = str(value)
    if not _WORD.match(text):
        raise ValueError(f"{text!r} cannot stand unquoted in a shell line of a spec")
    return text


def _finalize(value: Any) -> str:
    return value.text if isinstance(value, Raw) else for_spec(value)


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
    environment.filters["word"] = _word
    return environment


@cache
def _template(name: str) -> jinja2.Template:
    return _environment().get_template(name)

"""The rules that an sdist is judged by, beside the wheels that were made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from elpack.errors import Problem
from elpack.wheels.judgement import NOT_BINARY, Finding, Judgement, SdistContent, Severity, Verdicts
from elpack.wheels.sdist_files import Lack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from elpack.wheels.sdist_files import Difference


def judge_sdist(sdist: SdistContent, verdicts: Verdicts, *, own: bool) -> Judgement:
    """Return what the rules find in an sdist. `own`: it was made here, so all rules count."""
    lenient = Severity.ERROR if own else Severity.NOTICE
    facts, name = sdist.facts, sdist.facts.filename
    findings = [Finding("nothing-compiled", Severity.ERROR, problem) for problem in _nothing_compiled(sdist)]
    findings += [
        Finding("twine", Severity.ERROR, Problem(f"twine check --strict: {said}", name, "", "mend its pyproject.toml"))
        for said in verdicts.twine or ()
    ]
    if not facts.licence_files:
        problem = Problem("it holds no text of its licence", name, "", 'add license-files = ["LICENSE*"] to [project]')
        findings.append(Finding("licence", lenient, problem))
    if len(sdist.times) > 1:
        why = "each build has its own"
        problem = Problem("its files have different times", name, why, "build it with SOURCE_DATE_EPOCH set")
        findings.append(Finding("reproducible", lenient, problem))
    for difference in sdist.checkout or ():
        grave = difference.lack is Lack.NEEDED
        findings.append(
            Finding("complete", Severity.ERROR if grave else Severity.NOTICE, _as_problem(difference, name))
        )
    twine = "not asked" if verdicts.twine is None else "failed" if verdicts.twine else "passed"
    return Judgement(
        file=name,
        kind="sdist",
        tag="",
        deserved="",
        binary="compiles: " + facts.native if facts.native else NOT_BINARY,
        findings=tuple(findings),
        checks={"twine": twine, "complete": _completeness(sdist)},
    )


def _nothing_compiled(sdist: SdistContent) -> Iterator[Problem]:
    """Yield a problem for an sdist that says that it compiles something, where no wheel made of it holds any."""
    name = canonicalize_name(sdist.facts.metadata.name)
    wheels = [
        wheel
        for wheel in sdist.wheels
        if canonicalize_name(wheel.facts.metadata.name) == name
        and wheel.facts.metadata.version == sdist.facts.metadata.version
    ]
    if sdist.facts.native and wheels and not any(wheel.linked or wheel.broken for wheel in wheels):
        yield Problem(
            f"it calls itself binary ({sdist.facts.native}), and the wheels made of it hold no machine code: "
            + ", ".join(sorted(wheel.filename for wheel in wheels)),
            sdist.facts.filename,
            "its build hook skipped what it should compile, or there is nothing to compile",
            "look into the build's log for a missing compiler, or take the build hook out of its pyproject.toml",
        )


def _as_problem(difference: Difference, name: str) -> Problem:
    paths = list(difference.paths)
    more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""  # noqa: PLR2004
    return Problem(f"{difference.lack.value}: {', '.join(paths[:5])}{more}", name, difference.why, difference.fix)


def _completeness(sdist: SdistContent) -> str:
    if sdist.checkout is None:
        return "no checkout"
    if any(one.lack is Lack.NEEDED for one in sdist.checkout):
        return "failed"
    return "passed"

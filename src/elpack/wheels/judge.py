"""The rules that a wheel is judged by: does its content keep what its name promises, and may an index have it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import parse_wheel_filename

from elpack.errors import Problem
from elpack.wheels.judgement import NOT_BINARY, Finding, Judgement, Severity
from elpack.wheels.platforms import Family, canonical, platform_of, processor
from elpack.wheels.symbols import floor, symbol_problems

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from elpack.wheels.judgement import Abi3, Verdicts, WheelContent, ZipMember

    Check = Callable[[WheelContent, Verdicts], Iterator[Problem]]

_EXTENSION = re.compile(
    r"\.(?:cpython-(?P<cpython>\d+t?)|(?P<abi3>abi3t?)|pypy(?P<pypy>\d+)-(?P<abi>pp\d+))"
    r"(?:-(?P<arch>\w+?)-linux-(?P<libc>gnu|musl)\w*)?\.so\Z"
)
_GRAFTED = re.compile(r"[^/]+\.libs/[^/]+\Z")
_OURS = "elpack writes such a wheel by: elpack wheel build"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `check` yields what is wrong; of wheels that others made that is told only, if `lenient`."""

    code: str
    check: Check
    lenient: bool = False


def wrong_machine(wheel: WheelContent, verdicts: Verdicts) -> Iterator[Problem]:
    """Find machine code of another processor than the platform tag names: build it there, or correct the tag."""
    del verdicts
    arches = {platform_of(tag).arch for tag in wheel.platforms} - {""}
    for path, elf in wheel.linked.items():
        if arches and elf.machine not in arches:
            named = " and ".join(processor(arch) for arch in sorted(arches))
            yield Problem(
                f"{path} is compiled for {processor(elf.machine)}, the file name says {named}",
                wheel.filename,
                "it was built on another machine, or renamed afterwards",
                "build it where the code it compiles runs on that processor, or with a cross compiler",
            )


def code_in_pure(wheel: WheelContent, verdicts: Verdicts) -> Iterator[Problem]:
    """Find machine code in a wheel for any platform: let the backend say that it is not pure."""
    del verdicts
    code = list(wheel.linked)
    if "any" in wheel.platforms and code:
        what = f"it says that it runs anywhere, and holds machine code: {_some(code)}"
        fix = "let its build backend infer the tag; a hook of hatchling sets infer_tag and pure_python"
        yield Problem(what, wheel.filename, "its platform tag is 'any'", fix)
    elif code and wheel.facts.root_is_purelib:
        what = f"its WHEEL file says Root-Is-Purelib: true, and it holds machine code: {_some(code)}"
        why = "it would be installed among files that all architectures share"
        yield Problem(what, wheel.filename, why, "let its build backend say Root-Is-Purelib: false")


def nothing_compiled(wheel: WheelContent, verdicts: Verdicts) -> Iterator[Problem]:
    """Find a wheel for one platform that holds no machine code: it compiled nothing and calls itself binary."""
    del verdicts
    if "any" not in wheel.platforms and not wheel.linked and not wheel.broken:
        yield Problem(
            f"it compiles nothing and calls itself binary: it is for {', '.join(wheel.platforms)} and holds no "
            "machine code",
            wheel.filename,
            "its build hook skipped what it should compile, or it is pure and its tag is wrong",
            "look into the build's log for a missing compiler; a pure wheel has the tag py3-none-any",
        )


def other_tags(wheel: WheelContent, verdicts: Verdicts) -> Iterator[Problem]:
    """Find tags in the WHEEL file that are not those of the file name, as after a renaming by hand."""
    del verdicts
    if wheel.said_tags != wheel.tags:
        said = _some(sorted(wheel.said_tags)) or "none"
        what = f"its WHEEL file holds other tags than its name: {said}"
        yield Problem(what, wheel.filename, "it was renamed by hand", "change tags by: python -m wheel tags")


def other_extension(wheel: WheelContent, verdicts: Verdicts) -> Iterator[Problem]:
    """Find extension modules that the Python of the tag does not import, told by what their names end in."""
    del verdicts
    for path in wheel.linked:
        if (match := _EXTENSION.search(path)) and (reason := _unfit(match, wheel)):
            yield Problem(
                f"{path} is {reason}",
                wheel.filename,
                "the Python that its tag names would not import it, and say that the module is missing",
                "build the wheel with the Python that its tag names",
            )


def broken_code(wheel: WheelContent, verdicts: Verdicts) -> Iterator[Problem]:
    """Find ELF files that are damaged, or that have lost the tables that tell what they need."""
    del verdicts
    for path, reason in sorted(wheel.broken.items()):
        yield Problem(f"{path} cannot be read: {reason}", wheel.filename, "", "build it anew")
    for path, elf in wheel.linked.items():
        if not elf.readable:
            what = f"{path} has no table of its symbols: what it needs of a system cannot be told"
            yield Problem(what, wheel.filename, "its section headers were cut off", "strip it with strip alone")


def symbols(wheel: WheelContent, verdicts: Verdicts) -> Iterator[Problem]:
    """Find symbols that the platform tag's C library does not have."""
    for tag in _oldest(wheel):
        yield from symbol_problems(wheel, tag, verdicts)


def refused_by_auditwheel(wheel: WheelContent, verdicts: Verdicts) -> Iterator[Problem]:
    """Find what auditwheel refuses beyond symbols: libraries from outside, forbidden symbols, newer processors."""
    audit = verdicts.audit
    if audit is None or not wheel.linked:
        return
    if audit.error and not any(wrong_machine(wheel, verdicts)):
        yield Problem(f"auditwheel cannot judge it: {audit.error}", wheel.filename)
    if audit.unsupported_isa:
        what = "its machine code needs a newer processor than its tag promises"
        fix = "compile without -march=native and -march=x86-64-v2 or later"
        yield Problem(what, wheel.filename, "auditwheel found it marked so", fix)
    for tag in _oldest(wheel):
        if libraries := audit.eliminate.get(canonical(tag), ()):
            what = f"it needs {', '.join(libraries)}, which {platform_of(tag)} does not promise to have"
            fix = f"let auditwheel copy it into the wheel (auditwheel repair --plat {tag}), or link it statically"
            yield Problem(what, wheel.filename, "a portable wheel carries what not every system has", fix)
        for symbol in audit.forbidden.get(canonical(tag), ()):
            what = f"it uses {symbol}, which no portable wheel may"
            yield Problem(what, wheel.filename, "the library behind it changes it without notice", "link it statically")


def no_portable_tag(wheel: WheelContent, verdicts: Verdicts) -> Iterator[Problem]:
    """Find a wheel for "linux" without any promise: no index takes it, and nobody knows where it runs."""
    plain = [tag for tag in wheel.platforms if platform_of(tag).family is Family.LINUX]
    if plain and wheel.linked:
        best = verdicts.audit.overall if verdicts.audit else ""
        as_it_is = f"; as it is it would be {best}" if best and platform_of(best).family is not Family.LINUX else ""
        what = f"its tag {plain[0]} promises nothing about the systems that it runs on{as_it_is}"
        yield Problem(what, wheel.filename, "no index takes such a wheel", "repair it by auditwheel")


def described_badly(wheel: WheelContent, verdicts: Verdicts) -> Iterator[Problem]:
    """Find what `twine check --strict` says of the metadata: an index would refuse it, or not show the description."""
    for said in verdicts.twine or ():
        yield Problem(f"twine check --strict: {said}", wheel.filename, "", "mend the metadata in its pyproject.toml")


def abi3(wheel: WheelContent, verdicts: Verdicts) -> Iterator[Problem]:
    """Find extension modules that call themselves abi3 and use more than the stable ABI, or of a later Python."""
    for one in verdicts.abi3 or ():
        if reason := _beyond(one):
            why = "it would fail on some of the Pythons that its abi3 tag names"
            fix = f"compile it with Py_LIMITED_API for Python {one.baseline}, or name a later one in its tag"
            yield Problem(f"{one.name} {reason}", wheel.filename, why, fix)


def search_paths(wheel: WheelContent, verdicts: Verdicts) -> Iterator[Problem]:
    """Find libraries that are looked for in folders of the machine that built the wheel."""
    del verdicts
    for path, elf in wheel.linked.items():
        if bad := [one for one in elf.search_paths if one and not one.startswith("$ORIGIN")]:
            what = f"{path} looks for libraries in {', '.join(bad)}"
            why = "whoever can write there can put his own code into it; and it tells of the machine that built it"
            yield Problem(what, wheel.filename, why, "link without -rpath, or let auditwheel repair it")


def unlisted_libraries(wheel: WheelContent, verdicts: Verdicts) -> Iterator[Problem]:
    """Find libraries copied in by a repair without the SBOM that auditwheel writes about them (PEP 770)."""
    del verdicts
    grafted = [path for path in wheel.linked if _GRAFTED.match(path)]
    if grafted and not wheel.sboms:
        why = "who scans what is installed does not see them, nor their vulnerabilities"
        fix = "repair it with auditwheel 6.5 or later, and keep dist-info/sboms when it is packed anew"
        yield Problem(f"no SBOM tells what it carries of others: {_some(grafted)}", wheel.filename, why, fix)
    for path in wheel.unread:
        yield Problem(f"{path} is no CycloneDX document", wheel.filename, "", "write SBOMs as CycloneDX JSON (PEP 770)")


def not_reproducible(wheel: WheelContent, verdicts: Verdicts) -> Iterator[Problem]:
    """Find a zip whose times, order or modes are those of one build: the next build gives another digest."""
    del verdicts
    members = wheel.members
    if len({one.time for one in members}) > 1:
        yield Problem("its files have different times", wheel.filename, "each build has its own", _OURS)
    if found := _out_of_order(members):
        yield Problem(f"its files are in no order: {found}", wheel.filename, "the order of a folder on disk", _OURS)
    odd = sorted({f"{one.mode:04o}" for one in members if one.mode not in {0o644, 0o755}})
    if odd:
        yield Problem(f"its files have modes {', '.join(odd)}", wheel.filename, "those of one machine", _OURS)


RULES = (
    Rule("machine", wrong_machine),
    Rule("code-in-pure", code_in_pure),
    Rule("nothing-compiled", nothing_compiled),
    Rule("tags", other_tags),
    Rule("extension", other_extension),
    Rule("broken-code", broken_code),
    Rule("symbols", symbols),
    Rule("auditwheel", refused_by_auditwheel),
    Rule("portable-tag", no_portable_tag),
    Rule("twine", described_badly),
    Rule("abi3", abi3),
    Rule("search-path", search_paths, lenient=True),
    Rule("sbom", unlisted_libraries, lenient=True),
    Rule("reproducible", not_reproducible, lenient=True),
)
"""Every rule, in the order of the report."""


def judge_wheel(wheel: WheelContent, verdicts: Verdicts, *, own: bool) -> Judgement:
    """Return what the rules find in a wheel. `own`: it was made here, so all rules count."""
    findings = tuple(
        Finding(rule.code, Severity.NOTICE if rule.lenient and not own else Severity.ERROR, problem)
        for rule in RULES
        for problem in rule.check(wheel, verdicts)
    )
    pure = not wheel.linked and not wheel.broken and "any" in wheel.platforms
    audit = verdicts.audit
    return Judgement(
        file=wheel.filename,
        kind="wheel",
        tag=tag_of(wheel.filename),
        deserved=deserved(wheel, verdicts),
        binary=NOT_BINARY if pure else "judged",
        findings=findings,
        checks={
            "auditwheel": NOT_BINARY if pure else _audited(wheel, verdicts),
            "abi3audit": _abi3_audited(verdicts),
            "twine": "not asked" if verdicts.twine is None else "failed" if verdicts.twine else "passed",
            "record": "passed",
        },
        audit=audit.raw if audit else {},
    )


def tag_of(filename: str) -> str:
    """Return the tag part of a wheel's file name, such as cp311-cp311-manylinux_2_28_x86_64."""
    return "-".join(filename.removesuffix(".whl").split("-")[-3:])


def deserved(wheel: WheelContent, verdicts: Verdicts) -> str:
    """Return the tag that the content deserves, by auditwheel, or by what its code says where auditwheel is silent."""
    if not wheel.linked:
        return "py3-none-any" if "any" not in wheel.platforms else tag_of(wheel.filename)
    python, abi, _ = tag_of(wheel.filename).split("-")
    audit = verdicts.audit
    if audit and audit.overall:
        return f"{python}-{abi}-{audit.overall}"
    machines = sorted({elf.machine for elf in wheel.linked.values()})
    return f"{python}-{abi}-{floor(wheel, machines[0])}" if len(machines) == 1 else "none: code of several processors"


def expanded(filename: str) -> frozenset[str]:
    """Return every tag of a wheel's file name. Raises `InvalidWheelFilename`."""
    return frozenset(map(str, parse_wheel_filename(filename)[3]))


def _oldest(wheel: WheelContent) -> list[str]:
    """Return the tag with the oldest C library of each family: who keeps that promise keeps the others."""
    found: dict[tuple[Family, str], tuple[tuple[int, int], str]] = {}
    for platform in map(platform_of, wheel.platforms):
        if platform.version:
            key = (platform.family, platform.arch)
            found[key] = min(found.get(key, (platform.version, platform.tag)), (platform.version, platform.tag))
    return [tag for _, tag in sorted(found.values())]


def _unfit(match: re.Match[str], wheel: WheelContent) -> str:
    """Return why an extension module is not imported by every Python that the wheel's tags name, "" if it is."""
    tags = [tag.split("-") for tag in sorted(wheel.tags)]
    pythons, abis = {tag[0] for tag in tags}, {tag[1] for tag in tags}
    wants = f"the wheel is for {', '.join(sorted(pythons))}"
    if match["cpython"] and (pythons != {f"cp{match['cpython'].rstrip('t')}"} or abis == {"abi3"}):
        stable = " with the stable ABI (abi3)" if abis == {"abi3"} else ""
        return f"for CPython {match['cpython']} alone; {wants}{stable}"
    if match["abi3"] and any(not python.startswith("cp") for python in pythons):
        return f"for CPython's stable ABI; {wants}"
    if match["pypy"] and pythons != {f"pp{match['pypy']}"}:
        return f"for PyPy {match['pypy']} alone; {wants}"
    arches = {platform_of(tag).arch for tag in wheel.platforms}
    if match["arch"] and match["arch"] not in arches:
        return f"named after {match['arch']}; the wheel is for {', '.join(sorted(arches))}"
    musl = {platform_of(tag).family is Family.MUSLLINUX for tag in wheel.platforms}
    if match["libc"] and musl != {match["libc"] == "musl"}:
        return f"for {'musl' if match['libc'] == 'musl' else 'glibc'}; the wheel is for {', '.join(wheel.platforms)}"
    return ""


def _beyond(one: Abi3) -> str:
    if one.outside:
        return f"uses {_some(one.outside)}, which the stable ABI does not have"
    if one.later:
        return f"uses {_some(one.later)}, which Python {one.baseline} does not have: it needs {one.computed}"
    return "" if one.is_abi3 else "is no extension module of the stable ABI"


def _out_of_order(members: Iterable[ZipMember]) -> str:
    """Return the first file that is not where a sorted archive has it; .dist-info may stand last, RECORD behind all."""
    paths = [one.path for one in members]
    info = {path: (".dist-info/" in path, path.endswith(".dist-info/RECORD"), path) for path in paths}
    late, plain = sorted(paths, key=lambda path: info[path]), sorted(paths)
    return next((path for path, one, other in zip(paths, late, plain, strict=True) if path not in {one, other}), "")


def _audited(wheel: WheelContent, verdicts: Verdicts) -> str:
    if verdicts.audit is None:
        return "not asked"
    return verdicts.audit.overall or ("refused" if wheel.linked else NOT_BINARY)


def _abi3_audited(verdicts: Verdicts) -> str:
    if verdicts.abi3 is None:
        return "not abi3"
    return "failed" if any(_beyond(one) for one in verdicts.abi3) else "passed"


def _some(names: Iterable[str]) -> str:
    """Return the first names of a list, and how many there are beside."""
    every = list(names)
    shown, more = ", ".join(every[:3]), len(every) - 3
    return f"{shown} and {more} more" if more > 0 else shown

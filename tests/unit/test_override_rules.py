"""Which entries of override files are void, out of date, or ask for what is not there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.unit.plans import HATCHLING, LIB, OWN, Case, Dist

from elpack.checks.override_rules import OVERRIDE_RULES
from elpack.checks.rules import override_for_nobody
from elpack.model import BuildTool, Policy
from elpack.naming import dist_name, parse_version
from elpack.plan.make import make_plan
from elpack.plan.taken import Taken

if TYPE_CHECKING:
    from elpack.plan.facts import Inputs

TOOLS = (BuildTool("c", "It compiles."), BuildTool("cmake", "The build hook runs it (hatch_build.py)."))
NATIVE = replace(OWN, native="It compiles.", tools=TOOLS)
BUNDLED = """
[[bundled]]
name = "lmdb"
version = "0.9.36"
file = "lmdb/lmdb.h"
text = "PATCH 36"
reason = "an engine"
"""


def entry(key: str, inner: str) -> str:
    return f'[[{key}]]\n{inner}\nreason = "because"\n'


def found(case: Case, **inputs: object) -> list[str]:
    """Return the findings of the rules about overrides, each in one line."""
    given: Inputs = replace(case.inputs(), **inputs)  # type: ignore[arg-type]
    plan = make_plan(given)
    return [str(problem).replace("\n  ", " | ") for rule in OVERRIDE_RULES for problem in rule(plan, given)]


def voids(text: str, *dists: Dist, name: str = "own", **inputs: object) -> dict[str, str]:
    """Return why entries are void, by their key."""
    case = Case(overrides={name: text}).instead(*dists)
    start, result = f"specs/overrides/{name}.toml: ", {}
    for finding in found(case, **inputs):
        head, why, fix = finding.split(" | ")
        assert head.startswith(start)
        assert head.endswith(": this override changes nothing")
        assert fix == "fix: remove the entry"
        result[head.removeprefix(start).partition(":")[0]] = why.removeprefix("why: ")
    return result


WHEEL = "it is packaged from a wheel, and nothing is compiled"
THERE = "it is there already: "


@pytest.mark.parametrize(
    ("text", "dist", "why"),
    [
        ('[licence]\nexpression = "MIT"\nreason = "x"', OWN, "its metadata says MIT as well"),
        ('[native]\nis = "no"\nreason = "x"', OWN, "nothing in its sdist says that it compiles"),
        ('[native]\nis = "yes"\nreason = "x"', NATIVE, "It compiles."),
        ('[native]\nis = "yes"\nreason = "x"', LIB, WHEEL),
        (
            '[policy]\nuse = "sdist"\nreason = "x"',
            OWN,
            "its sdist would be taken anyway: it is first-party, or the lock has no wheel for the target",
        ),
        (
            '[policy]\nuse = "sdist"\nreason = "x"',
            HATCHLING,
            "build requirements are taken as the build lock pins them",
        ),
        (entry("drop", 'path = "bin/no"'), LIB, "lib-0.9-py3-none-any.whl holds no such file"),
        (entry("drop", 'path = "bin/no"'), HATCHLING, "it is only a build requirement, of which nothing is shipped"),
        (entry("no-bytecompile", 'path = "no.py"'), LIB, "lib-0.9-py3-none-any.whl holds no such module"),
        (entry("no-bytecompile", 'path = "data"'), LIB, "lib-0.9-py3-none-any.whl holds no such module"),
        (entry("build-env", 'set = "A=1"'), LIB, WHEEL),
        (entry("build-requires", 'rpm = "gcc"'), NATIVE, f"{THERE}It compiles."),
        (entry("build-requires", 'rpm = "cmake"'), NATIVE, f"{THERE}The build hook runs it (hatch_build.py)."),
        (
            entry("build-requires", 'rpm = "python3.12-devel"'),
            OWN,
            f"{THERE}the interpreter, its headers and its macros",
        ),
        (entry("build-requires", 'rpm = "cmake"'), LIB, WHEEL),
        (
            entry("build-with", 'dist = "absent"'),
            OWN,
            "absent is not in the closure, whose version the build would take",
        ),
        (
            entry("build-with", 'dist = "lib"'),
            replace(OWN, build_requires=("lib==0.9",)),
            "its build requires lib in this version anyway",
        ),
        (entry("no-import", 'module = "own.gui"'), OWN, "only these are imported: own"),
        (entry("no-import", 'module = "lib"'), LIB, WHEEL),
        (entry("unmet", 'dist = "absent"'), OWN, "its metadata requires no absent"),
        (
            entry("unmet", 'dist = "lib"'),
            replace(OWN, requires_dist=("lib<1",)),
            "the lock has the lib that it requires",
        ),
        (entry("unmet", 'dist = "lib"'), HATCHLING, "only dists of the closure require others of it"),
        (BUNDLED, LIB, WHEEL),
        (entry("not-hardened", 'path = "*.so"'), OWN, "it holds no machine code"),
    ],
)
def test_void(text: str, dist: Dist, why: str) -> None:
    assert list(voids(text, dist, name=dist.name).values()) == [why]


@pytest.mark.parametrize(
    ("text", "dist"),
    [
        ('[licence]\nexpression = "MIT AND ISC"\nreason = "x"', OWN),
        ('[native]\nis = "yes"\nreason = "x"', OWN),
        ('[native]\nis = "no"\nreason = "x"', NATIVE),
        (entry("drop", 'path = "bin/tool"'), replace(LIB, scripts=("tool",))),
        (entry("drop", 'path = "lib/python3.12/site-packages/lib.py"'), LIB),
        (entry("drop", 'path = "bin/of-an-sdist"'), OWN),
        (entry("no-bytecompile", 'path = "lib.py"'), LIB),
        (entry("no-bytecompile", 'path = "of/an/sdist.py"'), OWN),
        (entry("build-env", 'set = "A=1"'), OWN),
        (entry("build-requires", 'rpm = "cmake"'), OWN),
        (entry("build-requires", 'rpm = "libffi-devel"'), NATIVE),
        (entry("build-with", 'dist = "lib"'), OWN),
        (entry("build-with", 'dist = "lib"'), replace(OWN, build_requires=("lib>=0.5",))),
        (entry("no-import", 'module = "own"'), OWN),
        (entry("unmet", 'dist = "absent"'), replace(OWN, requires_dist=("absent",))),
        (entry("unmet", 'dist = "lib"'), replace(OWN, requires_dist=("lib>=1",))),
        (entry("unmet", 'dist = "lib"'), replace(OWN, requires_dist=("lib<1; python_version < '3.12'",))),
        (entry("not-hardened", 'path = "*.so"'), NATIVE),
    ],
)
def test_needed(text: str, dist: Dist) -> None:
    assert voids(text, dist, name=dist.name) == {}


def test_what_the_build_takes_in_another_layout_is_not_void() -> None:
    text = entry("build-with", 'dist = "absent"')
    assert voids(text)
    assert not voids(text, elsewhere={dist_name("absent"): frozenset()})


def test_what_is_void_is_told_of_all_files_and_entries_at_once() -> None:
    texts = {
        "lib": entry("build-env", 'set = "A=1"') + entry("drop", 'path = "bin/no"'),
        "own": '[licence]\nexpression = "MIT"\nreason = "x"\n' + entry("unmet", 'dist = "absent"'),
    }
    keys = [finding.split(": this")[0] for finding in found(Case(overrides=texts))]
    assert keys == [
        "specs/overrides/lib.toml: build-env[0]",
        "specs/overrides/lib.toml: drop[0]",
        "specs/overrides/own.toml: licence",
        "specs/overrides/own.toml: unmet[0]",
    ]


@pytest.mark.parametrize(
    ("key", "inner", "why"),
    [
        ("build-requires", 'rpm = "flex"', "flex is there twice"),
        ("build-env", 'set = "NAME={}"', "NAME is there twice"),
        ("must-have", 'path = "own/*.json"\nat-least = 1{}', "own/*.json is there twice"),
    ],
)
def test_twice(key: str, inner: str, why: str) -> None:
    assert voids("".join(entry(key, inner.format(n)) for n in (1, 2))) == {f"{key}[1]": why}


def test_a_policy_is_void_where_the_release_file_says_the_same() -> None:
    lib = replace(LIB, wheel="")
    text = '[policy]\nuse = "sdist"\nreason = "x"\n'
    inputs = Case(overrides={"lib": text}).instead(lib).inputs()
    wheel = Dist("lib", "0.9").selected().wheels
    dists = tuple(replace(dist, wheels=wheel) if dist.name == "lib" else dist for dist in inputs.selection.dists)
    selection = replace(inputs.selection, dists=dists)
    assert voids(text, lib, name="lib", selection=selection) == {}
    release = replace(inputs.release, policies=((dist_name("lib"), Policy.SDIST),))
    whys = voids(text, lib, name="lib", selection=selection, release=release)
    assert whys == {"policy": "[policy] of elpack.toml says the same"}


def test_a_dist_of_closure_and_build_lock_is_judged_by_both() -> None:
    text = '[licence]\nexpression = "MIT"\nreason = "x"\n'
    unclear = replace(HATCHLING, licence="")
    twice = Dist("hatchling", "1.0")
    assert found(replace(Case(overrides={"hatchling": text}).instead(unclear), closure=(*Case().closure, twice))) == []
    assert len(found(replace(Case(overrides={"hatchling": text}), closure=(*Case().closure, twice)))) == 1


@pytest.mark.parametrize(
    ("elsewhere", "judged"),
    [
        (Taken(parse_version("1.5"), Policy.SDIST, Policy.SDIST), True),
        (Taken(parse_version("1.6"), Policy.SDIST, Policy.SDIST), False),
        (Taken(parse_version("1.5"), Policy.WHEEL, Policy.WHEEL), False),
        (Taken(parse_version("1.5"), Policy.SDIST, Policy.WHEEL), False),
    ],
)
def test_what_another_target_may_need_is_not_void(elsewhere: Taken, *, judged: bool) -> None:
    ways = {dist_name("own"): frozenset({elsewhere})}
    whys = voids('[licence]\nexpression = "MIT"\nreason = "x"\n', elsewhere=ways)
    assert bool(whys) is judged


def test_a_path_that_the_wheel_lacks_is_told_whatever_other_targets_take() -> None:
    ways = {dist_name("lib"): frozenset({Taken(parse_version("2"), Policy.WHEEL, Policy.WHEEL)})}
    assert voids(entry("drop", 'path = "bin/no"'), name="lib", elsewhere=ways)


def test_bundled_code_is_proved_by_the_sdist() -> None:
    case = Case(overrides={"own": BUNDLED})
    assert found(case, cited={(OWN.sha256, "lmdb/lmdb.h"): "#define PATCH 36\n"}) == []
    tail = (
        " | why: it proves that lmdb 0.9.36 is bundled"
        " | fix: look which lmdb the sdist holds now; mend version and text, or remove the entry"
    )
    where = "specs/overrides/own.toml: bundled[0]: lmdb/lmdb.h"
    assert found(case, cited={}) == [f"{where} is not there in own-1.5.tar.gz{tail}"]
    assert found(case, cited={(OWN.sha256, "lmdb/lmdb.h"): "PATCH 37"}) == [
        f"{where} does not hold 'PATCH 36' in own-1.5.tar.gz{tail}"
    ]


@pytest.mark.parametrize(
    ("files", "count"),
    [
        (("lib/abi/a.json", "lib/abi/b.json"), 2),
        (("lib/abi/a.json", "lib/abi/deep/b.json", "other/lib/abi/c.json"), 1),
        (("lib-0.9.data/purelib/lib/abi/a.json", "lib-0.9.data/data/lib/abi/b.json"), 1),
        ((), 0),
    ],
)
def test_a_wheel_must_have_its_files(files: tuple[str, ...], count: int) -> None:
    text = '[[must-have]]\npath = "lib/abi/*.json"\nat-least = 2\nreason = "read at import"\n'
    findings = found(Case(overrides={"lib": text}).instead(replace(LIB, files=files)))
    if count == 2:
        assert findings == []
        return
    (finding,) = findings
    start = "specs/overrides/lib.toml: must-have[0]: lib-0.9-py3-none-any.whl holds"
    assert finding.startswith(f"{start} {count} files lib/abi/*.json, not 2 or more")
    assert "why: read at import" in finding


def test_an_override_for_nobody_is_left_to_its_own_rule() -> None:
    assert found(Case(overrides={"nobody": BUNDLED})) == []


def test_a_dist_of_another_target_only_may_have_an_override() -> None:
    inputs = Case(overrides={"nobody": BUNDLED}).inputs()
    plan = make_plan(inputs)
    assert len(list(override_for_nobody(plan, inputs))) == 1
    ways = {dist_name("nobody"): frozenset({Taken(parse_version("1"), Policy.SDIST, Policy.SDIST)})}
    assert list(override_for_nobody(plan, replace(inputs, elsewhere=ways))) == []

"""Every rule of the whole set: what it says, and that it is silent when there is nothing to say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.plans import APP, BUILD, HATCHLING, LIB, OWN, RELEASE, Case, Dist, digest

from elpack.checks import RULES, check_plan
from elpack.errors import PlanError
from elpack.model import CoreMetadata
from elpack.naming import dist_name
from elpack.plan.make import make_plan
from elpack.plan.model import Source
from elpack.plan.policy import Choice

UNMET = "uv lock; or [[unmet]] with the dist and a reason, in specs/overrides/lib.toml"


def findings(case: Case) -> list[str]:
    inputs = case.inputs()
    plan = make_plan(inputs)
    return [str(problem) for rule in RULES for problem in rule(plan, inputs)]


def test_a_sound_plan_has_no_findings() -> None:
    assert findings(Case()) == []
    inputs = Case().inputs()
    check_plan(make_plan(inputs), inputs)


def test_smoke_step_that_speaks_of_a_dist_outside_the_lock() -> None:
    step = '[[smoke.step]]\nname = "version"\nrun = ["app"]\nexpect = ["{version:lib}", "{version:ghost}"]\n'
    found = findings(Case(release=f"{RELEASE}\n{step}"))
    assert found == ["[[smoke.step]]: '{version:ghost}': the lock holds no ghost"]


def test_every_rule_tells_what_it_finds() -> None:
    assert len(set(RULES)) == len(RULES)
    for rule in RULES:
        assert rule.__doc__, rule


@pytest.mark.parametrize(
    ("lib", "message"),
    [
        (
            replace(LIB, wheel="cp312-cp312-manylinux_2_39_x86_64"),
            (
                "lib (el9 / 3.12 / x86_64): its wheels need glibc 2.39, the target has 2.34, and there is no sdist\n"
                "  fix: pin a file of lib that the target can use in uv.lock"
            ),
        ),
        (
            replace(LIB, wheel="cp312-cp312-win_amd64"),
            (
                "lib (el9 / 3.12 / x86_64): the lock pins no wheel for CPython 3.12 on x86_64, and there is no sdist\n"
                "  fix: pin a file of lib that the target can use in uv.lock"
            ),
        ),
    ],
)
def test_no_usable_file(lib: Dist, message: str) -> None:
    assert findings(Case().instead(lib)) == [message]


def test_no_usable_file_of_a_build_requirement() -> None:
    (finding,) = findings(Case().instead(replace(HATCHLING, wheel="cp312-cp312-win_amd64")))
    assert finding.endswith("fix: pin a file of hatchling that the target can use in pylock.build.toml")


def test_no_installer() -> None:
    case = Case(build=tuple(dist for dist in BUILD if dist.name != "installer"))
    assert findings(case) == ["pylock.build.toml (el9 / 3.12 / x86_64): installer is not locked\n  fix: elpack lock"]


def test_build_circle() -> None:
    one = Dist("one", wheel="", build_requires=("two",))
    two = Dist("two", wheel="", build_requires=("one",))
    assert findings(Case(build=(*BUILD, one, two))) == [
        ("to be built they need one another: buildroot/one, buildroot/two\n  fix: take one of them from its wheel")
    ]
    assert findings(Case(build=(*BUILD, one, replace(two, wheel="py3-none-any")))) == []


def test_path_conflict() -> None:
    case = Case().instead(
        replace(LIB, scripts=("tool",), files=("shared.py",)), Dist("other", scripts=("tool",), files=("shared.py",))
    )
    assert findings(case) == [
        (
            "shop-python3.12-lib: lib and other both own /opt/shop/bin/tool\n"
            '  fix: [[drop]] path = "bin/tool" with a reason, in specs/overrides/lib.toml'
        ),
        (
            "shop-python3.12-lib: lib and other both own /opt/shop/lib/python3.12/site-packages/shared.py\n"
            '  fix: [[drop]] path = "lib/python3.12/site-packages/shared.py" with a reason, in specs/overrides/lib.toml'
        ),
    ]


def test_path_conflict_between_an_sdist_s_script_and_a_wheel_s() -> None:
    case = Case().instead(replace(OWN, scripts=("tool",)), replace(LIB, files=("lib-0.9.data/scripts/tool",)))
    assert findings(case) == [
        (
            "shop-python3.12-lib: lib and own both own /opt/shop/bin/tool\n"
            '  fix: [[drop]] path = "bin/tool" with a reason, in specs/overrides/lib.toml'
        )
    ]


def test_a_dropped_path_is_no_conflict() -> None:
    drop = '[[drop]]\npath = "bin/tool"\nreason = "other has it"\n'
    case = Case(overrides={"lib": drop}).instead(replace(LIB, scripts=("tool",)), Dist("other", scripts=("tool",)))
    assert findings(case) == []


def test_build_roots_may_hold_what_the_stack_holds() -> None:
    case = replace(Case(), build=(*BUILD, replace(LIB, version="0.8")))
    assert findings(case) == []


def test_unsatisfied_requirement() -> None:
    lib = replace(
        LIB,
        requires_dist=(
            "own>=2",
            "absent",
            "absent2; python_version < '3'",
            "absent3; extra == 'fast'",
            "not [valid",
            "absent4; python_version ~= 'nonsense'",
        ),
    )
    fix = "  fix: uv lock; or [[unmet]] with the dist and a reason, in specs/overrides/lib.toml"
    assert findings(Case().instead(lib)) == [
        f"lib: requires own>=2, the lock has 1.5\n{fix}",
        f"lib: requires absent, which the lock leaves out\n{fix}",
    ]


def test_an_extra_s_requirement_counts_when_the_lock_chose_the_extra() -> None:
    lib = replace(LIB, extras=("fast",), requires_dist=("absent; extra == 'fast'", "own==1.*"))
    (finding,) = findings(Case().instead(lib))
    assert finding.startswith('lib: requires absent; extra == "fast", which the lock leaves out\n')


def test_a_requirement_may_be_unmet_on_purpose() -> None:
    text = '[[unmet]]\ndist = "Absent"\nreason = "only Windows uses it"\n'
    lib = replace(LIB, requires_dist=("absent", "own>=2"))
    (finding,) = findings(Case(overrides={"lib": text}).instead(lib))
    assert finding.startswith("lib: requires own>=2, the lock has 1.5")


def test_a_pre_release_satisfies_when_the_lock_chose_it() -> None:
    case = Case().instead(replace(OWN, version="2.0rc1"), replace(LIB, requires_dist=("own>=1",)))
    assert findings(case) == []


def test_wrong_python() -> None:
    assert findings(Case().instead(replace(LIB, requires_python=">=3.13"))) == [
        (
            "lib 0.9: needs Python >=3.13, the target has 3.12\n"
            "  fix: choose another Python for the target in elpack.toml, or lock again for this one"
        )
    ]
    assert findings(Case().instead(replace(LIB, requires_python="three"))) == [
        "lib: Requires-Python is not a specifier: 'three'"
    ]
    assert findings(Case().instead(replace(LIB, requires_python=">=3.8,<3.13"))) == []


def test_wrong_python_of_a_build_requirement() -> None:
    (finding,) = findings(Case().instead(replace(HATCHLING, requires_python="<3.12")))
    assert finding.startswith("hatchling 1.30: needs Python <3.12")


def test_no_licence() -> None:
    (finding,) = findings(Case().instead(replace(LIB, licence="")))
    assert finding.startswith("lib 0.9: its licence is not known\n  why: ")
    assert finding.endswith('fix: [licence] expression = "…" with a reason, in specs/overrides/lib.toml')
    text = '[licence]\nexpression = "MIT"\nreason = "read it"\n'
    assert findings(Case(overrides={"lib": text}).instead(replace(LIB, licence=""))) == []


def test_a_build_requirement_s_licence_holds_nobody_up() -> None:
    assert findings(Case().instead(replace(HATCHLING, licence=""))) == []


def test_same_rpm_name() -> None:
    release = RELEASE.replace("[application]\n", '[application]\nrpm = "shop-python3.12-lib"\n')
    assert findings(Case(release=release)) == [
        "elpack.toml: stack/app and stack/lib would both be the RPM shop-python3.12-lib"
    ]


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (
            CoreMetadata("other", "0.9", licence_expression="MIT"),
            "lib-0.9-py3-none-any.whl: the file says that it is 'other'",
        ),
        (
            CoreMetadata("not a name", "0.9", licence_expression="MIT"),
            "lib-0.9-py3-none-any.whl: the file says that it is 'not a name'",
        ),
        (
            CoreMetadata("lib", "0.8", licence_expression="MIT"),
            "lib-0.9-py3-none-any.whl: the file says version '0.8', the lock 0.9",
        ),
        (
            CoreMetadata("lib", "newest", licence_expression="MIT"),
            "lib-0.9-py3-none-any.whl: the file says version 'newest', the lock 0.9",
        ),
    ],
)
def test_wrong_identity(metadata: CoreMetadata, message: str) -> None:
    assert findings(Case().instead(replace(LIB, metadata=metadata))) == [message]


def test_wrong_identity_of_a_build_requirement() -> None:
    metadata = CoreMetadata("hatchling", "1.31", licence_expression="MIT")
    assert findings(Case().instead(replace(HATCHLING, metadata=metadata))) == [
        "hatchling-1.30-py3-none-any.whl: the file says version '1.31', the lock 1.30"
    ]


def test_another_spelling_is_no_other_identity() -> None:
    metadata = CoreMetadata("Lib", "0.9.0", licence_expression="MIT")
    assert findings(Case().instead(replace(LIB, metadata=metadata))) == []


def test_unknown_exposed_command() -> None:
    assert findings(Case().instead(replace(APP, scripts=("other",)))) == [
        "elpack.toml: application.expose: app has no command app\n  fix: name one of its [project.scripts]"
    ]


def test_same_source_name() -> None:
    release = RELEASE + "".join(
        f'[[asset]]\nsource = "{folder}/x"\ndestination = "/etc/{folder}"\n' for folder in ("a", "b")
    )
    assets = {f"{folder}/x": Source("x", digest(folder)) for folder in ("a", "b")}
    inputs = replace(Case(release=release).inputs(), assets=assets)
    plan = make_plan(inputs)
    found = [str(problem) for rule in RULES for problem in rule(plan, inputs)]
    assert found == ["app: two sources are named x\n  fix: rename one of the assets"]


def test_override_for_nobody() -> None:
    text = '[[drop]]\npath = "bin/x"\nreason = "so"\n'
    assert findings(Case(overrides={"lbi": text})) == [
        (
            "specs/overrides/lbi.toml: no dist of this name is in the closure or in the build lock\n"
            "  fix: remove the file, or mend its name"
        )
    ]
    text = '[[must-have]]\npath = "hatchling.py"\nreason = "so"\n'
    assert findings(Case(overrides={"hatchling": text})) == []


def test_name_for_nobody() -> None:
    release = RELEASE.replace("own = {}", "own = {}\nonw = {}") + '[policy]\nlbi = "sdist"\n'
    assert findings(Case(release=release)) == [
        (
            "elpack.toml: first-party.onw: no dist of this name is in the closure or in the build lock\n"
            "  fix: remove the entry, or mend its name"
        ),
        (
            "elpack.toml: policy.lbi: no dist of this name is in the closure or in the build lock\n"
            "  fix: remove the entry, or mend its name"
        ),
    ]


def test_all_findings_of_all_rules_are_told_at_once() -> None:
    case = Case().instead(replace(LIB, licence="", requires_python=">=3.13"), replace(APP, scripts=()))
    inputs = case.inputs()
    with pytest.raises(PlanError) as refusal:
        check_plan(make_plan(inputs), inputs)
    assert refusal.value.exit_code == 15
    assert [problem.what for problem in refusal.value.problems] == [
        "needs Python >=3.13, the target has 3.12",
        "app has no command app",
        "its licence is not known",
    ]


def test_findings_about_a_set_with_missing_files_do_not_stumble() -> None:
    inputs = Case().inputs()
    nothing = {name: Choice(choice.policy, None, "", problem="none") for name, choice in inputs.chosen.items()}
    inputs = replace(inputs, chosen={**nothing, dist_name("lib"): inputs.chosen[dist_name("lib")]})
    plan = make_plan(inputs)
    found = [problem.what for rule in RULES for problem in rule(plan, inputs)]
    assert found.count("none") == len(nothing) - 1

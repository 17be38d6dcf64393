from __future__ import annotations

from elpack.builders.logs import relevant

NOISE = [f"[{number}%] Building CXX object" for number in range(100)]
VERDICT = [
    "error: Bad exit status from /var/tmp/rpm-tmp.x (%build)",
    "",
    "RPM build errors:",
    "    Bad exit status from /var/tmp/rpm-tmp.x (%build)",
]
AFTER = ["Child return code was: 1", "+ exit 0"]


def text(*parts: list[str]) -> str:
    return "\n".join(line for part in parts for line in part)


def test_the_cause_is_shown_not_only_the_tail() -> None:
    cause = ["x.c:1:25: error: 'undeclared' undeclared", "make: *** [x.o] Error 1"]
    shown = relevant(text(NOISE, cause, ["+ cd /tmp"] * 3, VERDICT)).splitlines()
    assert shown[0] == cause[0]
    assert shown[-1] == VERDICT[0]
    assert "[99%] Building CXX object" not in shown


def test_a_traceback_is_shown_from_its_start() -> None:
    trace = ["Traceback (most recent call last):", '  File "x"', "ImportError: no"]
    assert relevant(text(NOISE, trace, VERDICT)).splitlines() == [*trace, VERDICT[0]]


def test_a_long_stretch_between_cause_and_end_is_cut_in_its_middle() -> None:
    shown = relevant(text(["ld: error: first"], NOISE, VERDICT), limit=12).splitlines()
    assert len(shown) == 12
    assert shown[0] == "ld: error: first"
    assert "… 91 lines …" in shown
    assert shown[-2:] == [NOISE[-1], VERDICT[0]]


def test_without_a_known_sign_the_last_commands_are_shown() -> None:
    assert relevant(text(NOISE, ["+ exit 3"], VERDICT)).splitlines() == [*NOISE[-9:], "+ exit 3", VERDICT[0]]


def test_a_cause_far_above_is_left_to_the_log() -> None:
    shown = relevant(text(["warning: error: long ago"], NOISE * 5, VERDICT))
    assert "long ago" not in shown


def test_an_error_of_the_spec_itself() -> None:
    assert relevant("error: line 3: Unknown tag: Foo: bar\n") == "error: line 3: Unknown tag: Foo: bar"


def test_what_follows_rpms_verdict_is_short() -> None:
    listed = relevant(text(NOISE, ["RPM build errors:", "    File not found: /a"], AFTER)).splitlines()
    assert listed[-4:] == ["RPM build errors:", "    File not found: /a", *AFTER]


def test_no_sign_at_all_yields_the_tail() -> None:
    assert relevant(text(NOISE), limit=2).splitlines() == NOISE[-2:]
    assert relevant("") == ""

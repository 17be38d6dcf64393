"""Whatever the text is, the real rpm reads what was meant. Many texts share one call of rpm."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.rpmtools import rpmspec

from elpack.escape import for_spec, one_line, paragraph, summary_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# letters that macros, sections, conditions and shells are made of come often, others sometimes
NASTY = st.text(alphabet="%{}()[]!?*:\\\"'$`#;&|<> abilf0", max_size=40)
FRAGMENTS = st.lists(
    st.sampled_from(
        (
            "%",
            "%%",
            "%(touch pwned)",
            "%{lua:print(1)}",
            "%files",
            "%if 0",
            "%endif",
            "%define x y",
            "%[1+1]",
            "\\",
            "x",
            " ",
        )
    ),
    max_size=8,
).map(" ".join)
LINES = st.one_of(NASTY, FRAGMENTS, st.text(max_size=40)).map(lambda text: one_line(text, 200))
BATCH = st.lists(LINES, min_size=40, max_size=120)
FEW = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))


@FEW
@given(texts=BATCH)
def test_rpm_expands_an_escaped_text_to_itself(texts: list[str], needs: Callable[..., None]) -> None:
    needs("rpm")
    arguments = [f"--eval={for_spec(text)}" for text in texts]
    done = subprocess.run(["rpm", *arguments], capture_output=True, check=True)
    assert done.stdout.decode().split("\n")[:-1] == texts
    assert not done.stderr


@FEW
@given(texts=BATCH)
def test_rpm_reads_summaries_and_descriptions_as_they_were(
    texts: list[str], tmp_path: Path, needs: Callable[..., None]
) -> None:
    needs("rpmspec")
    summaries = [summary_line(text, "name", 79) or "nothing" for text in texts]
    parts = ["Name: name\nVersion: 1\nRelease: 1\nSummary: s\nLicense: MIT\n%description\n"]
    for number, (text, summary) in enumerate(zip(texts, summaries, strict=True)):
        parts.append(f"%package p{number}\nSummary: {for_spec(summary)}\n")
        parts.append(f"%description p{number}\n{paragraph(f'name 1: {text}')}\n%files p{number}\n")
    spec = tmp_path / "name.spec"
    spec.write_text("\n".join(parts))
    told = rpmspec("-q", "--qf", "%{name}\x01%{summary}\x01%{description}\x02", str(spec), cwd=tmp_path)
    packages = [tuple(package.split("\x01")) for package in told.split("\x02")[1:-1]]
    assert [name for name, _, _ in packages] == [f"name-p{number}" for number in range(len(texts))]
    assert [summary for _, summary, _ in packages] == summaries
    assert [" ".join(words.split()) for _, _, words in packages] == [f"name 1: {text}".strip() for text in texts]
    assert [path.name for path in tmp_path.iterdir()] == ["name.spec"]


@given(text=st.text(max_size=400), limit=st.integers(1, 100))
def test_a_line_is_short_and_printable(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert line == line.strip()
    for_spec(line)


@given(text=st.text(max_size=400), name=st.sampled_from(("a", "a-b", "x")))
def test_a_summary_is_one_line_that_ends_well(text: str, name: str) -> None:
    line = summary_line(text, name, 79)
    assert len(line) <= 79
    assert not line.endswith((" ", "."))
    for_spec(line)

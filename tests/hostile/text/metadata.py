"""Core metadata: every field of a wheel's METADATA, and of an sdist's PKG-INFO, that anybody reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.hostile.corpus import EVIL, INFO, LIBRARY, Case, Project, metadata
from tests.hostile.text.payloads import ALL, LINE_ENDS, LUA, MACROS, QUOTED, SECTIONS, SHELL, TERMINAL

if TYPE_CHECKING:
    from collections.abc import Callable

LOCKED, PLAN, ARCHIVE = 11, 15, 23
"""Exit codes: the lock cannot be used, the plan cannot be carried out, the archive was refused."""
MEGABYTE = 1 << 20


def core(name: str, fields: dict[str, str], *more: str, body: str = "") -> bytes:
    """Return core metadata with these fields in place of sound ones; an empty one is left out."""
    sound = {"Metadata-Version": "2.4", "Name": name, "Version": "1.0", "License-Expression": "MIT"}
    lines = [f"{key}: {value}" for key, value in (sound | fields).items() if value]
    text = "\n".join([*lines, *more]) + "\n" + (f"\n{body}" if body else "")
    return text.encode(errors="surrogatepass")


def of_wheel(content: bytes) -> Callable[[Project], None]:
    def make(project: Project) -> None:
        project.wheel_files[f"{INFO}/METADATA"] = content

    return make


def of_sdist(content: bytes) -> Callable[[Project], None]:
    def make(project: Project) -> None:
        project.sdist_files["PKG-INFO"] = content

    return make


def in_layout(layout: str, make: Callable[[Project], None]) -> Callable[[Project], None]:
    """Return the same input, packaged in another layout."""

    def other(project: Project) -> None:
        if layout == "system":
            project.release = LIBRARY
        else:
            project.layout = layout
        make(project)

    return other


def summary(text: str) -> bytes:
    return core("lib", {"Summary": text})


# What the metadata says of each field, and elpack's exit code; it has no use for those that end with 0 and no text.
FIELDS: tuple[tuple[str, str, int, str], ...] = (
    ("Name", f"lib{SHELL}", ARCHIVE, "METADATA"),
    ("Version", f"1.0{SHELL}", ARCHIVE, "METADATA"),
    ("Version", f"1.0+{EVIL}%(x)", ARCHIVE, "METADATA"),
    ("Metadata-Version", ALL, 0, ""),
    ("Dynamic", ALL, 0, ""),
    ("Platform", ALL, 0, ""),
    ("Supported-Platform", ALL, 0, ""),
    ("Summary", ALL, 0, SHELL),
    ("Keywords", f"{ALL},%post,{SHELL}", 0, ""),
    ("Home-page", f"https://example.org/{SHELL}", 0, "URL:            https://pypi.org/project/lib/"),
    ("Home-page", f"https://example.org/?$({EVIL})", 0, "URL:            https://pypi.org/project/lib/"),
    ("Home-page", f"javascript:{EVIL}", 0, "URL:            https://pypi.org/project/lib/"),
    ("Download-URL", f"https://example.org/{SHELL}", 0, ""),
    ("Author", ALL, 0, ""),
    ("Author-email", f"{ALL} <x@example.org>", 0, ""),
    ("Maintainer", ALL, 0, ""),
    ("Maintainer-email", f"{ALL} <x@example.org>", 0, ""),
    ("License", ALL, 0, "License:        MIT"),
    ("License-File", f"{SHELL}/LICENSE", 0, ""),
    ("Classifier", f"License :: OSI Approved :: {ALL}", 0, "License:        MIT"),
    ("Project-URL", f"Homepage, https://example.org/{SHELL}", 0, "URL:            https://pypi.org/project/lib/"),
    ("Project-URL", f"{ALL}, https://example.org/", 0, "URL:            https://pypi.org/project/lib/"),
    ("Requires-Python", f">=3 {ALL}", PLAN, "Requires-Python"),
    ("Requires-External", ALL, 0, ""),
    ("Requires-Dist", ALL, 0, ""),
    ("Requires-Dist", f"{EVIL}{SHELL}>=1", 0, ""),
    ("Provides-Extra", f"x{SHELL}", 0, ""),
    ("Provides-Dist", f"glibc {SHELL}", 0, ""),
    ("Obsoletes-Dist", f"glibc {SHELL}", 0, ""),
    ("Import-Name", f"os{SHELL}", 0, ""),
    (f"X-%({EVIL})", ALL, 0, ""),
)


def _fields() -> tuple[Case, ...]:
    cases = []
    for number, (field, text, code, says) in enumerate(FIELDS):
        what = f"{field} with macros and shell"
        id_ = f"metadata/{number:02}-{field.lower().partition('-%')[0]}"
        said = tuple(filter(None, (says,)))
        cases.append(Case(f"{id_}-wheel", what, of_wheel(core("lib", {field: text})), code, said))
        said = tuple(text.replace("METADATA", "PKG-INFO").replace("project/lib", "project/app") for text in said)
        source = core("app", {"Requires-Dist": "lib>=1", field: text})
        cases.append(Case(f"{id_}-sdist", what, of_sdist(source), code, said))
    return tuple(cases)


MACRO_CASES = tuple(
    Case(f"macro/{name}", "a macro in a summary stands there as it was", of_wheel(summary(f"About {text} end")))
    for name, text in MACROS.items()
)
LAYOUT_CASES = tuple(
    Case(
        f"layout/{layout}-{name}",
        "a macro in summaries, in another layout",
        in_layout(layout, make),
    )
    for layout in ("bundle", "system")
    for name, make in (
        ("wheel", of_wheel(summary(ALL))),
        ("sdist", of_sdist(core("app", {"Summary": ALL, "Requires-Dist": "lib>=1"}))),
    )
)
SECTION_CASES = tuple(
    Case(
        f"section/{name}",
        "a summary that goes on with a line that begins something in a spec",
        of_wheel(core("lib", {"Summary": "A library"}, *(f"  {line}" for line in text.splitlines()))),
    )
    for name, text in SECTIONS.items()
)
LINE_END_CASES = tuple(
    Case(
        f"line-end/{name}",
        "a summary with what may end a line, and a section behind it",
        of_wheel(summary(f"A library{end}%post{end}{EVIL}{end}Requires: {EVIL}")),
    )
    for name, end in LINE_ENDS.items()
)
TERMINAL_CASES = tuple(
    case
    for name, text in TERMINAL.items()
    for case in (
        Case(f"terminal/{name}", "a summary that speaks to the terminal", of_wheel(summary(f"A {text} library"))),
        Case(
            f"terminal/{name}-error",
            "a licence that speaks to the terminal, in a message",
            of_wheel(core("lib", {"License-Expression": "", "License": f"{text}"})),
            PLAN,
            ("License field",),
        ),
        Case(
            f"terminal/{name}-name",
            "a name that speaks to the terminal, in a message",
            of_wheel(core("lib", {"Name": f"lib{text}"})),
            ARCHIVE,
            ("METADATA",),
        ),
    )
)
BODY = f"%post\n{EVIL}\n# %({EVIL})\n```\n.. include:: /etc/passwd\n.. raw:: html\n\n   <script>\n{LUA}\n%changelog\n"
SHAPE_CASES = (
    Case("shape/readme-md", "sections and macros in a README", of_wheel(core("lib", {}, body=BODY))),
    Case(
        "shape/readme-rst",
        "the same in reStructuredText, as a field",
        of_wheel(
            core("lib", {"Description-Content-Type": "text/x-rst", "Description": BODY.replace("\n", "\n        |")})
        ),
    ),
    Case(
        "shape/readme-file",
        "the same in a README of an sdist",
        lambda p: p.sdist_files.update({"README.md": BODY.encode()}),
    ),
    Case("shape/long-summary", "a summary of one megabyte", of_wheel(summary("%(x) " * (MEGABYTE // 5)))),
    Case("shape/long-word", "a word of one megabyte", of_wheel(summary("%" * MEGABYTE))),
    Case(
        "shape/long-licence",
        "a licence of one megabyte",
        of_wheel(core("lib", {"License-Expression": "(" * MEGABYTE})),
        PLAN,
        ("not valid SPDX",),
    ),
    Case(
        "shape/deep-licence",
        "a licence of many brackets",
        of_wheel(core("lib", {"License-Expression": "(" * 490 + "MIT" + ")" * 490})),
        PLAN,
        ("not valid SPDX",),
    ),
    Case(
        "shape/wide-licence",
        "a licence of many terms",
        of_wheel(core("lib", {"License-Expression": " AND ".join(["MIT"] * 100)})),
    ),
    Case(
        "shape/licence-code",
        "a licence that would be code",
        of_wheel(core("lib", {"License-Expression": "MIT OR __import__('os')"})),
        PLAN,
        ("not valid SPDX",),
    ),
    Case(
        "shape/licence-ref",
        "a licence of its own with macros",
        of_wheel(core("lib", {"License-Expression": f"LicenseRef-{SHELL}"})),
        PLAN,
        ("not valid SPDX",),
    ),
    Case(
        "shape/classifiers", "100 000 classifiers", of_wheel(core("lib", {}, *["Classifier: Topic :: %(x)"] * 100_000))
    ),
    Case("shape/keywords", "100 000 keywords", of_wheel(core("lib", {"Keywords": "%(x)," * 100_000}))),
    Case(
        "shape/not-utf-8", "a summary that is not UTF-8", of_wheel(metadata("lib", "Summary: A \udcff\udcfe library"))
    ),
    Case("shape/surrogate", "half a character", of_wheel(summary("A \ud800 library"))),
    Case(
        "shape/overlong",
        "an overlong encoding of a line end",
        of_wheel(metadata("lib", "Summary: A \udcc0\udc8a%post")),
    ),
    Case(
        "shape/utf-16",
        "metadata in another encoding",
        of_wheel(core("lib", {}).decode().encode("utf-16")),
        ARCHIVE,
        ("lacks the field Name",),
    ),
    Case(
        "shape/bom",
        "a mark before the first field",
        of_wheel(b"\xef\xbb\xbf" + core("lib", {})),
        ARCHIVE,
        ("lacks the field Name",),
    ),
    Case("shape/empty", "no metadata at all", of_wheel(b""), ARCHIVE, ("lacks the field Name",)),
    Case(
        "shape/two-names",
        "a field that is there twice",
        of_wheel(core("lib", {}, "Name: lib")),
        ARCHIVE,
        ("has it twice",),
    ),
    Case("shape/two-summaries", "two summaries", of_wheel(core("lib", {"Summary": "One"}, f"Summary: {SHELL}"))),
    Case("shape/encoded-word", "macros in an encoded word", of_wheel(summary("=?utf-8?q?=0A=25post=0Apwned?="))),
    Case("shape/folded", "macros in a folded line", of_wheel(summary(f"%(\n {EVIL}\n )"))),
    Case(
        "shape/multipart",
        "metadata that claims to be multipart",
        of_wheel(core("lib", {"Content-Type": "multipart/mixed; boundary=x"}, body="--x\n\n%post\n--x--\n")),
    ),
    Case("shape/version-blank", "a version with line ends around", of_wheel(core("lib", {"Version": "1.0\n "}))),
    Case(
        "shape/version-v",
        "a version with a letter in front",
        of_sdist(core("app", {"Version": "v1.0", "Requires-Dist": "lib>=1"})),
    ),
    Case(
        "shape/version-long",
        "a version of 5000 digits",
        of_wheel(core("lib", {"Version": "1" * 5000})),
        ARCHIVE,
        ("METADATA",),
    ),
    Case(
        "shape/name-homoglyph",
        "a name with a letter of another script",
        of_wheel(core("lib", {"Name": "l\u0456b"})),
        ARCHIVE,
        ("METADATA",),
    ),
    Case("shape/summary-percent", "nothing but percent signs", of_wheel(summary("%%%%%%%"))),
    Case("shape/summary-hash", "a summary that would be a comment", of_wheel(summary(f"#!/bin/{EVIL}"))),
    Case(
        "shape/summary-heredoc",
        "the end of a here-document",
        of_wheel(core("lib", {"Summary": "EOF"}, "  EOF", f"  {EVIL}", "  __END__")),
    ),
    Case("shape/summary-quotes", "what ends quotes in a shell", of_wheel(summary(QUOTED))),
    Case("shape/summary-backslash", "a backslash at the end of a summary", of_wheel(summary("A library\\"))),
    Case(
        "shape/summary-backslashes",
        "two of them",
        of_sdist(core("app", {"Summary": "An application \\\\", "Requires-Dist": "lib>=1"})),
    ),
    Case(
        "shape/summary-words",
        "a backslash at the end of each line of a description",
        of_wheel(summary("a\\ " * 60)),
    ),
    Case(
        "shape/jinja",
        "a template in a summary",
        of_wheel(summary("{{ package.sources }}{% include '/etc/passwd' %}{{ 7*7 }}")),
        says=("{{ package.sources }}",),
    ),
)

CASES = (
    *_fields(),
    *MACRO_CASES,
    *LAYOUT_CASES,
    *SECTION_CASES,
    *LINE_END_CASES,
    *TERMINAL_CASES,
    *SHAPE_CASES,
)

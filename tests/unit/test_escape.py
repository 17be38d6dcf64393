from __future__ import annotations

import time

import pytest

from elpack.escape import absolute, comment, for_spec, one_line, paragraph, pattern, safe_url, summary_line, word

MEGABYTE = 1 << 20


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  A  library\nfor\tthings ", "A library for things"),
        ("A \u202elibrary\u2066 for things", "A library for things"),
        ("A\x00b\x1b[31mc\u2028d", "A b [31mc d"),
        ("x" * 30, "x" * 20),
        ("four words are here", "four words are here"),
        ("four words are here now", "four words are here"),
        ("", ""),
    ],
)
def test_one_line_is_printable_and_short(text: str, expected: str) -> None:
    assert one_line(text, 20) == expected


def test_a_megabyte_of_text_costs_nothing() -> None:
    start = time.process_time()
    assert len(one_line("x " * MEGABYTE, 79)) == 79
    assert len(summary_line("(" * MEGABYTE, "x", 79)) <= 79
    assert summary_line(" " * MEGABYTE + "x", "x", 79) == ""
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A library.", "A library"),
        ("efficient arrays", "Efficient arrays"),
        ("eth_abi: Python utilities", "Python utilities"),
        ("eth-abi - Python utilities", "Python utilities"),
        ("ETH.ABI: python utilities", "Python utilities"),
        ("eth-abi", "eth-abi"),
        ("eth-abi for Python", "eth-abi for Python"),
        ("iCal for Python", "iCal for Python"),
        (
            "A tool that makes projects from templates, e.g. Python projects",
            "A tool that makes projects from templates",
        ),
        (
            "A QR code generator that can write formats such as PNG and SVG",
            "A QR code generator that can write formats such",
        ),
        ("Normalization of text in several forms (NFC, NFD, NFKC, NFKD)", "Normalization of text in several forms"),
        ("...", ""),
    ],
)
def test_a_summary_is_as_guidelines_want_it(text: str, expected: str) -> None:
    assert summary_line(text, "eth-abi", 50) == expected


@pytest.mark.parametrize("text", ["%(touch x)", "%{lua:os.exit()}", "100%", "%%", "%dnl x", "%[1+1]", "%!x"])
def test_percent_signs_are_doubled(text: str) -> None:
    assert for_spec(text) == text.replace("%", "%%")


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\x00", "a\u202eb", "a\u2028b", "a\x85b", "a\udcffb", "a\u200bb"])
def test_what_no_line_can_hold_is_refused(text: str) -> None:
    for function in (for_spec, word, absolute, pattern):
        with pytest.raises(ValueError, match=r"cannot stand|can stand"):
            function(text)


def test_a_refusal_does_not_repeat_a_megabyte() -> None:
    for function in (for_spec, word, absolute):
        with pytest.raises(ValueError, match=r"cannot stand|can stand") as caught:
            function("\n" * MEGABYTE)
        assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-rf",
        "a b",
        "a;b",
        "$(x)",
        "`x`",
        "a|b",
        "a>b",
        "a&b",
        "*",
        "~",
        "a'b",
        'a"b',
        "a\\b",
        "#x",
        "%x",
        "ä",
        "a\n",
    ],
)
def test_a_word_of_shell_has_no_meaning_to_a_shell(text: str) -> None:
    with pytest.raises(ValueError, match="cannot stand unquoted"):
        word(text)


@pytest.mark.parametrize("text", ["relative", "/a b", "/$x", "/a\n", "/%x", "/a/../b", "/..", ""])
def test_a_path_is_absolute_and_plain(text: str) -> None:
    with pytest.raises(ValueError, match="no absolute path"):
        absolute(text)


def test_a_pattern_means_its_text() -> None:
    assert pattern("libstdc++-1.so.6") == "libstdc[+][+]-1[.]so[.]6"
    assert pattern("%(x)") == "[%%][(]x[)]"


@pytest.mark.parametrize("text", ["%files first", "#first", "", "  %if 0"])
def test_a_description_begins_with_a_plain_word(text: str) -> None:
    if text:
        with pytest.raises(ValueError, match="cannot begin"):
            paragraph(text)
    else:
        assert paragraph(text) == ""


def test_no_line_of_a_description_begins_with_a_percent_sign() -> None:
    text = "name 1.0: " + "word " * 13 + "%files %if 0 %(x) #define and the rest"
    lines = paragraph(text).split("\n")
    assert " ".join(lines) == text.replace("%", "%%")
    assert not [line for line in lines if line.lstrip().startswith(("%", "#"))]


def test_a_long_word_is_not_cut_where_its_rest_would_begin_a_section() -> None:
    lines = paragraph("name " + "x" * 79 + "%files").split("\n")
    assert lines == ["name", "x" * 79 + "%%files"]


def test_a_comment_stays_a_comment() -> None:
    text = "a reason\nof two lines, \t" + "words " * 30 + "%(x)"
    lines = comment(text).split("\n")
    assert all(line.startswith("# ") and len(line) <= 101 for line in lines)
    assert " ".join(line[2:] for line in lines) == " ".join(text.split()).replace("%", "%%")


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("https://example.org/a?b=c#d", True),
        ("http://example.org", True),
        ("javascript:alert(1)", False),
        ("https://example.org/%(touch x)", False),
        ("https://example.org/a b", False),
        ("https://example.org/\n%files", False),
        ("https://example.org/" + "x" * MEGABYTE, False),
        ("", False),
    ],
)
def test_only_plain_urls_are_urls(text: str, good: bool) -> None:  # noqa: FBT001
    assert safe_url(text) == (text if good else "")

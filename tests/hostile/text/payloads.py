"""What hostile texts consist of. All of them want to start the canary program, or to be read as more than text."""

from __future__ import annotations

from tests.hostile.corpus import EVIL

SHELL = f"%({EVIL})"
LUA = f'%{{lua:os.execute("{EVIL}")}}'
QUOTED = f"$({EVIL}) `{EVIL}` '; {EVIL}; ' \" && {EVIL} | {EVIL} > {EVIL} & {EVIL} # \\"
ALL = f"{SHELL} {LUA} %{{expand:%({EVIL})}} {QUOTED}"
"""All that fits on one line."""

MACROS = {
    "shell": SHELL,
    "lua": LUA,
    "lua-bare": f"%{{lua:t={{{EVIL}=1}} for k in next,t do for _ in os.execute,k do break end end}}",
    "expand": f"%{{expand:%({EVIL})}}",
    "expression": f'%["%({EVIL})" == "x" ? 1 : 2]',
    "if-undefined": f"%{{!?nowhere:%({EVIL})}}",
    "if-defined": f"%{{?name:%({EVIL})}}",
    "parametric": f"%{{basename:%({EVIL})}}",
    "half-escaped": f"%%%({EVIL}) %%%%%({EVIL})",
    "escaped": f"%%({EVIL}) %%%%({EVIL})",
    "define": f"%define {EVIL} %({EVIL})",
    "global": f"%global {EVIL} %({EVIL})",
    "include": "%include /etc/passwd",
    "load": "%{load:/etc/passwd}",
    "error": "%{error:stop}",
    "open-brace": "%{?x:",
    "open-bracket": "%[ 1 +",
    "open-parenthesis": "%( echo",
    "lone-percent": "100% %",
    "name": "%{name} %name %{*} %1 %#",
    "backslash": "a \\",
    "braces": "{} }} {{ {%raw%} {% set x = 1 %} {{ package.rpm }}",
    "source": "%{SOURCE0} %SOURCE0",
    "uncompress": f"%{{uncompress:x; {EVIL}}}",
    "verbose": "%{dump} %trace",
}
"""Of the kinds of macro that rpm expands while it only reads a spec, one each, and half a macro of some."""

SECTIONS = {
    "prep": f"%prep\n{EVIL}",
    "post": f"%post\n{EVIL}",
    "post-p": f"%post -p /bin/{EVIL}",
    "files": f"%files\n/etc/{EVIL}",
    "package": f"%package {EVIL}\nSummary: x\n%description {EVIL}\nx",
    "changelog": "%changelog\n* Mon Nov 02 2026 Mallory <m@example.org> - 9",
    "if": "%if 0\nx\n%else",
    "requires": f"Requires: {EVIL}",
    "provides": f"Provides: {EVIL}",
    "obsoletes": f"Obsoletes: {EVIL}",
    "buildrequires": f"BuildRequires: {EVIL}",
    "trigger": f"%triggerin -- glibc\n{EVIL}",
}
"""Lines that would begin something in a spec, were they to begin a line."""

LINE_ENDS = {
    "lf": "\n",
    "cr": "\r",
    "crlf": "\r\n",
    "vt": "\v",
    "ff": "\f",
    "fs": "\x1c",
    "nel": "\x85",
    "ls": "\u2028",
    "ps": "\u2029",
    "nul": "\0",
}
"""What one reader or another takes for the end of a line."""

TERMINAL = {
    "colour": "\x1b[31mred\x1b[0m",
    "clear": "\x1b[2J\x1b[H",
    "title": "\x1b]0;title\x07",
    "link": "\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "c1": "\x9b31m",
    "backspace": "good\b\b\b\bevil",
    "direction": "\u202egnp.exe\u2066",
    "zero-width": "ad\u200bmin\ufeff",
    "homoglyph": "\u0430dmin",
    "overlong": "e" + "\u0301" * 100,
    "tags": "".join(chr(0xE0000 + ord(char)) for char in "tags"),
    "rich-markup": "[bold red]error:[/] [link=https://evil.example]x[/link] [/]",
}
"""What a terminal would follow, or what a reader would see as something else than it is."""

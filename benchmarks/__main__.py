"""``python -m benchmarks [specs|wheels|images] [--json]``: run a benchmark, or all of them, and print its table."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks import images, specs, wheels
from benchmarks.project import Settings

BENCHMARKS = {"specs": specs.run_benchmark, "wheels": wheels.run, "images": images.run_images}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="*", help=f"which: {', '.join(BENCHMARKS)}; all if none is named")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--file", type=Path, default=Path("elpack.toml"), help="the release file")
    parser.add_argument("--target", default="el9-standin")
    parser.add_argument("--repeat", type=int, default=5, help="runs of what takes seconds; the median counts")
    parser.add_argument("--only", type=int, default=0, help="take the first so many packages; 0: all")
    parser.add_argument("--level", type=int, action="append", help="wheels: zstd levels, 9 and 3 if none is named")
    parser.add_argument(
        "--compiled", action="store_true", help="wheels: give the roots' Python its byte code, which EL9's has"
    )
    parser.add_argument("--out", type=Path, help="keep what was made there, to look at")
    options = parser.parse_args()
    names = options.name or list(BENCHMARKS)
    if unknown := set(names) - BENCHMARKS.keys():
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    settings = Settings(
        file=options.file.resolve(),
        target=options.target,
        repeat=max(1, options.repeat),
        only=options.only,
        levels=tuple(options.level or (9, 3)),
        compiled=options.compiled,
        out=options.out.resolve() if options.out else None,
    )
    tables = [BENCHMARKS[name](settings) for name in names]
    if options.json:
        json.dump([table.json() for table in tables], sys.stdout, indent=2)
        print()
    else:
        print("\n\n".join(str(table) for table in tables))


if __name__ == "__main__":
    main()

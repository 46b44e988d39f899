#!/usr/bin/env python3
"""Takes the C++ snippets out of a README.

snippets.py README FOLDER          writes each ```cpp block as FOLDER/snippet_N.cpp
snippets.py --same README FOLDER   the print_later_twice blocks must be the programs in FOLDER
"""
import pathlib
import re
import sys


def blocks(readme):
    return re.findall(r"^```cpp\n(.*?)^```$", pathlib.Path(readme).read_text(), re.M | re.S)


def squeeze(program):
    """The program without its comments, and without the layout that clang-format decides."""
    lines = [line for line in program.splitlines() if not line.startswith("//")]
    return "".join("".join(lines).split())


def write(readme, folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    found = blocks(readme)
    if not found:
        sys.exit(f"{readme}: no ```cpp block found")
    wanted = {folder / f"snippet_{i}.cpp": text for i, text in enumerate(found, 1)}
    for old in set(folder.glob("*.cpp")) - set(wanted):
        old.unlink()
    for path, text in wanted.items():
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def same(readme, folder):
    found = [squeeze(block) for block in blocks(readme) if "print_later_twice" in block]
    for style in ("callbacks", "coroutine"):
        program = pathlib.Path(folder) / f"print_later_twice_{style}.cpp"
        if squeeze(program.read_text()) not in found:
            sys.exit(f"{readme}: no snippet is the text of {program}")
    print(f"{len(found)} snippets are the tutorial's programs")


if sys.argv[1] == "--same":
    same(*sys.argv[2:])
else:
    write(*sys.argv[1:])

"""No text makes a regular expression of ours run away: each is matched in linear time.

Python's engine goes back, so a pattern like `a+\\s*b` takes the square of its text. Each pattern is found in the
sources, and given long texts made from its own letters in a process whose CPU time is limited.
"""

import ast
import importlib
import json
import re
import resource
import signal
import string
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from re import _parser  # type: ignore[attr-defined]

import pytest

import pixelbloom

ROOT = Path(pixelbloom.__file__).parent
#: Characters of a hostile text. Its square is 10,000 million steps; one pass takes milliseconds.
LENGTH = 100_000
#: How many beginnings of a match are tried.
STARTS = 8
#: For all texts of one pattern: the longest needs five on a quiet machine, and one that goes back minutes.
CPU_SECONDS = 20
#: Functions of `re` whose first argument is a pattern.
USES = {"compile", "search", "match", "fullmatch", "split", "findall", "finditer", "sub", "subn"}

#: Patterns put together from others, by their source, as one example of each.
BUILT = {
    "'|'.join(map(re.escape, known))": "secret-one|secret-two",
    "pattern": r"[0-9]{1,10}(\.[0-9]{1,2})?",  # METADATA of the payments
}

#: The text, its flags, and how it is used.
Pattern = tuple[str, int, str]


def patterns() -> Iterator[tuple[str, Pattern]]:
    """Each pattern given to `re` with the file it stands in, wherever it is written."""
    files = {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in sorted(ROOT.rglob("*.py"))}
    for where, tree in files.items():
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr=attr), args=[first, *_]) if attr in USES:
                    for use in uses(node, attr, tree):
                        yield where, (read(first, where), flags(node), use)


def read(node: ast.expr, where: str) -> str:
    """What the expression stands for in its module. Where it needs what only a function has, one example of it."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    source = ast.unparse(node)
    if source in BUILT:
        return BUILT[source]
    module = importlib.import_module(".".join(("pixelbloom", *Path(where).with_suffix("").parts)))
    try:
        return str(eval(source, vars(module)))  # noqa: S307  (our own source)
    except NameError:
        raise AssertionError(f"a pattern that this test cannot read, in {where}: {source}") from None


def uses(call: ast.Call, attr: str, tree: ast.Module) -> set[str]:
    """`fullmatch`, `match` or `search`, which stands for all that look everywhere; of a variable, its methods."""
    named = {
        target.id
        for statement in tree.body
        if isinstance(statement, ast.Assign) and statement.value is call
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    methods = {
        node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in named
    }
    return {use if use in ("fullmatch", "match") else "search" for use in methods or {attr}}


def flags(call: ast.Call) -> int:
    """The flags named in the call."""
    given = [*call.args[1:], *(keyword.value for keyword in call.keywords)]
    parts = (part for argument in given for part in ast.walk(argument) if isinstance(part, ast.Attribute))
    named = (part.attr for part in parts if isinstance(part.value, ast.Name) and part.value.id == "re")
    return sum({int(flag) for name in named if isinstance(flag := getattr(re, name, None), re.RegexFlag)})


def example(parsed: object) -> Iterator[str]:
    """The pieces of a text that nearly matches: one for each part of the pattern."""
    for operation, value in parsed:  # type: ignore[attr-defined]
        match str(operation):
            case "LITERAL":
                yield chr(value)
            case "IN":
                yield letter(value)
            case "ANY":
                yield "a"
            case "NOT_LITERAL":
                yield "b" if value == ord("a") else "a"
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                least, _, inner = value
                yield from list(example(inner)) * max(1, least)
            case "SUBPATTERN":
                yield from example(value[3])
            case "ATOMIC_GROUP":
                yield from example(value)
            case "BRANCH":
                yield from example(value[1][0])


def letter(choices: list[tuple[object, object]]) -> str:
    """One character of a class."""
    tried = re.compile("[" + re.escape(string.printable) + "]")
    for character in "a0 -.,:=\"'#$+" + string.printable:
        if tried.fullmatch(character) and _in(choices, character):
            return character
    return "a"


def _in(choices: list[tuple[object, object]], character: str) -> bool:
    parsed = _parser.parse("[a]")
    parsed.data[:] = [(_parser.IN, choices)]
    return re._compiler.compile(parsed).fullmatch(character) is not None  # type: ignore[attr-defined]


def hostile(text: str, flags: int) -> Iterator[str]:
    """Texts that begin as the pattern does, go on for long with some part of it, and end otherwise."""
    pieces = list(example(_parser.parse(text, flags)))[:40]
    whole = "".join(pieces)
    starts = list(dict.fromkeys(whole[: len(whole) * part // STARTS] for part in range(STARTS + 1)))
    pumps = dict.fromkeys([*pieces, *" a0-.,", *starts[1:]])
    for start in starts:
        for pump in pumps:
            yield start + pump * (LENGTH // len(pump)) + "\x01"


def attack(todo: list[Pattern], seconds: int) -> None:
    """Match each in that CPU time, and print its number when it is through. Runs in a process of its own."""
    for number, (text, flags, use) in enumerate(todo):
        pattern = re.compile(text, flags)
        spent = resource.getrusage(resource.RUSAGE_SELF)
        limit = int(spent.ru_utime + spent.ru_stime) + seconds + 1
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
        for said in hostile(text, flags):
            getattr(pattern, use)(said)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


def too_slow(todo: list[Pattern], seconds: int = CPU_SECONDS) -> list[Pattern]:
    """The patterns that ran into the limit of CPU time."""
    found: list[Pattern] = []
    left = todo
    while left:
        script = "import json, sys; from tests.integration.test_patterns import attack; attack(*json.load(sys.stdin))"
        done = subprocess.run(
            [sys.executable, "-c", script],
            input=json.dumps([left, seconds]),
            capture_output=True,
            text=True,
            check=False,
        )
        through = len(done.stdout.split())
        if done.returncode == 0:
            return found
        assert done.returncode == -signal.SIGXCPU, done.stderr
        found.append(left[through])
        left = left[through + 1 :]
    return found


def test_every_pattern_is_matched_in_linear_time():
    found = list(patterns())
    assert len(found) > 30

    slow = too_slow(list(dict.fromkeys(pattern for _, pattern in found)))

    assert [(where, pattern) for where, pattern in found if pattern in slow] == []


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(r"^#{1,4}\s+(.+?)\s*#*\s*$", id="heading"),
        pytest.param(
            r"(?P<first>\d{1,3})(?:\s*(?:-|to)\s*(?P<last>\d{1,3}))?\s*\+?\s*(?P<unit>day|week)s?\b",
            id="blanks-beside-blanks",
            marks=pytest.mark.slow,
        ),
        pytest.param(r"eyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?", id="many-beginnings", marks=pytest.mark.slow),
        pytest.param(r"(a|a)*$", id="exponential", marks=pytest.mark.slow),
    ],
)
def test_a_pattern_with_exponential_time_is_found(text):
    bad = (text, re.MULTILINE.value, "search")
    assert too_slow([("a", 0, "search"), bad], seconds=5) == [bad]

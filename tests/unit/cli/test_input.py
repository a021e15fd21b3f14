from pathlib import Path

import pytest

from tests.unit.cli.conftest import SECRET, Cli, one_line

USER = "7e0f2a39-3a54-4a1c-9f6c-1d3b3f0a9b11"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{x", "--input is not JSON: "),
        ("", "--input is not JSON: "),
        ("[1]", "is not a JSON object"),
        ('"text"', "is not a JSON object"),
        ('{"a": NaN}', "NaN is not JSON"),
        ("[" * 200_000, "--input is nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "--input has a number with too many digits"),
        ('{"a', "--input is not JSON: Unterminated string (line 1, column 2)"),
        ("@missing.json", "cannot read the file (No such file or directory)"),
        ("@.", "cannot read the file (Is a directory)"),
        ("@latin.json", "is not UTF-8 text (line 1)"),
    ],
)
def test_an_input_other_than_an_object_ends_in_one_line(cli: Cli, source: str, words: str) -> None:
    Path("latin.json").write_bytes(b'{"name": "Andr\xe9"}')
    result = cli("invoke", "lead_agent", "--input", source, SUPABASE_JWT_SECRET=SECRET)
    assert words in one_line(result)
    assert result.exit_code == 2


@pytest.mark.parametrize("arguments", [("--input", "@lead.json"), ("--input", "-"), ("--input", '{"a": 1}')])
def test_an_unreachable_api_is_reported_with_its_address(cli: Cli, arguments: tuple[str, ...]) -> None:
    Path("lead.json").write_text('{"a": 1}')
    result = cli(
        "invoke", "lead_agent", *arguments, stdin='{"a": 1}', SUPABASE_JWT_SECRET=SECRET, API_URL="http://127.0.0.1:9"
    )
    assert "http://127.0.0.1:9 is unreachable" in one_line(result)
    assert result.exit_code == 3


def test_without_a_token_it_explains_how_to_get_one(cli: Cli) -> None:
    result = cli("invoke", "lead_agent", "--input", "{}")
    line = one_line(result)
    assert all(word in line for word in ("--token", "PIXELBLOOM_TOKEN", "SUPABASE_JWT_SECRET"))
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("runs", "show", "x"), "'x' is not a UUID"),
        (("runs", "watch", "x"), "'x' is not a UUID"),
        (("runs", "list", "--limit", "0"), "--limit '0' is not a number from 1 to 200"),
        (("runs", "list", "--limit", "201"), "--limit '201'"),
        (("runs", "list", "--limit", "many"), "--limit 'many'"),
        (("runs", "list", "--status", "done"), "--status 'done' is not one of: queued"),
        (("runs", "list", "--created-after", "yesterday"), "--created-after 'yesterday' is not a time"),
        (("runs", "list", "--user-id", "x"), "--user-id 'x'"),
        (("runs", "show", USER, "--api-url", "ftp://x"), "'ftp://x' is not the address of an API"),
        (("invoke", "a", "--input", "{}", "--user-id", "x"), "--user-id 'x'"),
    ],
)
def test_an_invalid_argument_ends_in_one_line_and_exit_code_2(cli: Cli, arguments: tuple[str, ...], words: str) -> None:
    result = cli(*arguments, SUPABASE_JWT_SECRET=SECRET)
    assert words in one_line(result)
    assert result.exit_code == 2


def test_an_invalid_database_address_is_named_and_not_shown(cli: Cli) -> None:
    result = cli("migrate", DATABASE_URL="hunter2")
    assert one_line(result).startswith("DATABASE_URL is not the address of a database")
    assert "hunter2" not in result.stderr
    assert result.exit_code == 2

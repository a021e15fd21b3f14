"""`pixelbloom keys` prints secrets that fit together."""

from pathlib import Path

import jwt
import pytest

from pixelbloom.cli.keys import keys
from pixelbloom.config import Settings, load

SECRET = "a secret of an existing project, long enough"


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def printed(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    keys()
    return dict(line.split("=", 1) for line in capsys.readouterr().out.splitlines())


def test_new_ones_are_valid_settings_and_never_the_same(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = printed(capsys), printed(capsys)
    assert first.keys() == second.keys()
    assert all(first[name] != second[name] for name in first)
    (empty / ".env").write_text("".join(f"{name}={value}\n" for name, value in first.items()))
    settings = load()
    for name in first:
        assert name.lower() in settings.model_fields_set
    role = jwt.decode(first["SUPABASE_SERVICE_ROLE_KEY"], first["SUPABASE_JWT_SECRET"], algorithms=["HS256"])["role"]
    assert role == "service_role"


def test_given_ones_stay_and_the_keys_follow_from_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SUPABASE_JWT_SECRET", SECRET)
    monkeypatch.setenv("AUTHENTICATOR_PASSWORD", "as-it-is")
    found = printed(capsys)
    assert (found["SUPABASE_JWT_SECRET"], found["AUTHENTICATOR_PASSWORD"]) == (SECRET, "as-it-is")
    assert jwt.decode(found["SUPABASE_ANON_KEY"], SECRET, algorithms=["HS256"])["role"] == "anon"

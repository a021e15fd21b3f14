"""`pixelbloom env` prints what the running stack was given in its own environment, not the defaults."""

import contextlib
from pathlib import Path

import pytest

from pixelbloom.cli import env
from pixelbloom.config import load
from pixelbloom.local import envfile
from pixelbloom.local.home import Home
from pixelbloom.local.output import Output
from pixelbloom.local.supervisor import StopRequest
from pixelbloom.local.up import Running

OLLAMA = "http://127.0.0.1:19434"
SECRET = "a secret of this stack alone, long enough"


def test_settings_known_only_to_the_stack_are_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("OLLAMA_HOST", "SUPABASE_URL", "SUPABASE_JWT_SECRET", "REDIS_URL", "API_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIXELBLOOM_HOME", str(tmp_path / "home"))
    with monkeypatch.context() as given:
        given.setenv("OLLAMA_HOST", OLLAMA)
        given.setenv("SUPABASE_JWT_SECRET", SECRET)
        home = Home.at(tmp_path / "home")
        with contextlib.closing(Output(home.logs)) as output:
            stack = Running(load(home_files=False), home, output, StopRequest())
            keys = stack._keys()
            stack._env = {
                **keys,
                "SUPABASE_URL": "http://127.0.0.1:1",
                "REDIS_URL": "redis://127.0.0.1:2/0",
                "PORT": "3",
            }
            envfile.write(home.stack_file, stack._stack_env())

    printed = env.lines(load(), secrets=True)

    assert printed["OLLAMA_HOST"] == OLLAMA
    assert printed["VITE_API_URL"] == "http://127.0.0.1:3"
    assert printed["VITE_SUPABASE_URL"] == "http://127.0.0.1:1"
    assert printed["SUPABASE_JWT_SECRET"] == SECRET
    assert printed["VITE_SUPABASE_PUBLISHABLE_KEY"] == keys["SUPABASE_ANON_KEY"]


def test_a_supabase_known_only_to_the_stack_is_printed_without_derived_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("SUPABASE_URL", "SUPABASE_ANON_KEY", "SUPABASE_JWT_SECRET", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIXELBLOOM_HOME", str(tmp_path / "home"))
    with monkeypatch.context() as given:
        given.setenv("SUPABASE_URL", "http://127.0.0.1:4")
        given.setenv("SUPABASE_ANON_KEY", "public-key")
        given.setenv("SUPABASE_SERVICE_ROLE_KEY", "service-role-key")
        home = Home.at(tmp_path / "home")
        with contextlib.closing(Output(home.logs)) as output:
            stack = Running(load(home_files=False), home, output, StopRequest())
            stack._env = {"REDIS_URL": "redis://127.0.0.1:2/0", "API_JWT_SECRET": SECRET}
            envfile.write(home.stack_file, stack._stack_env())
    monkeypatch.setenv("SUPABASE_JWT_SECRET", SECRET)

    printed = env.lines(load(), secrets=True)

    assert printed["SUPABASE_URL"] == printed["VITE_SUPABASE_URL"] == "http://127.0.0.1:4"
    assert printed["VITE_SUPABASE_PUBLISHABLE_KEY"] == "public-key"
    assert "SUPABASE_SERVICE_ROLE_KEY" not in home.stack_file.read_text()
    assert env.local_keys(load(), secrets=True) == {}

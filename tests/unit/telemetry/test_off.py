"""Without its settings telemetry imports nothing; with them, a missing package is named."""

import importlib.util
import subprocess
import sys

import pytest

from pixelbloom.config import Settings
from pixelbloom.startup import required_settings
from pixelbloom.telemetry import tracing
from tests import ROOT

SCRIPT = """
import sys
from pixelbloom.config import Settings
from pixelbloom.web.app import create_app
create_app(Settings(_env_file=None, supabase_url="http://127.0.0.1:9", supabase_service_role_key="k", redis_url="redis://127.0.0.1:9"))
unused = ("pixelbloom.telemetry.otlp", "opentelemetry.exporter", "sentry_sdk", "ollama", "pixelbloom.models.manager")
print([name for name in unused if name in sys.modules])
"""


@pytest.mark.long
def test_a_web_process_imports_no_telemetry_without_the_settings_and_no_provider_of_models() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stderr


def test_nothing_is_traced_by_default() -> None:
    tracing.annotate(run_id="x")
    assert tracing.traceparent() is None
    with tracing.within("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"):
        assert tracing.traceparent() is None


@pytest.mark.parametrize(
    ("changes", "on"),
    [
        ({}, False),
        ({"otel_exporter_otlp_endpoint": "http://localhost:4318"}, True),
        ({"otel_exporter_otlp_traces_endpoint": "http://localhost:4318/v1/traces"}, True),
        ({"otel_exporter_otlp_endpoint": "http://localhost:4318", "otel_sdk_disabled": True}, False),
    ],
)
def test_traces_need_an_endpoint(changes: dict[str, object], on: bool) -> None:
    assert tracing.enabled(Settings(**changes)) is on  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("variable", "value"),
    [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318"), ("SENTRY_DSN", "https://key@sentry.example/1")],
)
def test_a_setting_whose_packages_are_missing_stops_the_start_with_one_line(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(**{variable.lower(): value})  # type: ignore[arg-type]
    monkeypatch.setattr("pixelbloom.startup.settings", lambda: settings)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)

    with pytest.raises(SystemExit, match="2"):
        required_settings()

    assert capsys.readouterr().err == f"{variable} is set: install the extra, pip install 'pixelbloom[telemetry]'\n"

"""deploy/observability/: every metric in it exists, every alert has its paragraph, and promtool accepts the files."""

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from pixelbloom.container import Container
from pixelbloom.exporter.server import collector
from pixelbloom.telemetry.worker_metrics import WorkerMetrics
from pixelbloom.web.operations import metrics as web_metrics
from tests import ROOT
from tests.programs import debian_program
from tests.stack import Stack

FOLDER = ROOT / "deploy" / "observability"
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
OK: dict[str, Any] = {"status": "ok"}
NAME = re.compile(r"pixelbloom_\w+")


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def dashboard_expressions() -> Iterator[str]:
    for panel in json.loads((FOLDER / "dashboard.json").read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"]


@pytest.fixture
def names(stack: Stack) -> set[str]:
    """The names of all series that the processes have."""
    parts = Container(stack.settings)
    web = web_metrics._Parts({"database": OK, "redis": OK, "broker": OK, "workers": OK, "beat": OK})
    families = [
        *collector(parts).collect(),
        *WorkerMetrics().registry.collect(),
        *web_metrics._Library().registry.collect(),
        *web.collect(),
    ]
    parts.gateway.close()
    parts.redis.close()
    return {f"{family.name}{suffix}" for family in families for suffix in SUFFIXES[family.type]}


def test_every_metric_of_the_alerts_and_the_dashboard_exists(names: set[str]) -> None:
    expressions = [*(rule["expr"] for rule in rules()), *dashboard_expressions()]
    assert len(expressions) > 60
    used = {name for expression in expressions for name in NAME.findall(expression)}
    assert used - names == set()


def test_every_metric_is_described_in_the_docs(names: set[str]) -> None:
    text = (ROOT / "docs" / "observability.md").read_text()
    described = {re.sub(r"\{.*", "", name) for name in re.findall(r"`(pixelbloom_[^`]+)`", text)}
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}
    assert described == families


def test_every_alert_has_its_paragraph_and_every_paragraph_its_alert() -> None:
    text = (ROOT / "docs" / "runbook.md").read_text()
    sections = dict(re.findall(r"^### (\w+)\n\n(.+?)(?=\n\n###? |\Z)", text, re.MULTILINE | re.DOTALL))
    assert set(sections) == {rule["alert"] for rule in rules()}
    for rule in rules():
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"
        for part in ("**Means:**", "**Look at:**", "**Do:**"):
            assert part in sections[rule["alert"]], (rule["alert"], part)


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", "alerts.yaml"),
        ("test", "rules", "alerts_test.yaml"),
        ("check", "config", "--syntax-only", "prometheus.yaml"),
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_promtool_accepts(arguments: tuple[str, ...]) -> None:
    promtool = debian_program("promtool", "prometheus")
    done = subprocess.run([promtool, *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_has_unique_panels_within_its_grid() -> None:
    panels = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [panel["gridPos"] for panel in panels]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)

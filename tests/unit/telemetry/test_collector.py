"""Metrics are read while processes start and end."""

from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from pixelbloom.telemetry.collector import FolderCollector


def test_a_file_that_a_starting_process_has_just_created_is_skipped(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    FolderCollector(registry, str(tmp_path))  # type: ignore[no-untyped-call]
    counted = MmapedDict(str(tmp_path / "counter_1.db"))  # type: ignore[no-untyped-call]
    key = mmap_key("runs", "runs_total", [], [], "Runs")  # type: ignore[no-untyped-call]
    counted.write_value(key, 3.0, 0.0)  # type: ignore[no-untyped-call]
    (tmp_path / "counter_2.db").touch()
    (tmp_path / "gauge_livesum_2.db").touch()

    assert b"runs_total 3.0" in generate_latest(registry)

    counted.close()  # type: ignore[no-untyped-call]

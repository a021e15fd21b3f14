"""What `/readyz` finds."""

import threading

import pytest

from pixelbloom.web.operations.readiness import Probe, ProbeResult, Readiness
from tests.waiting import until


def fails() -> None:
    raise OSError("connect to 10.1.2.3:5432 failed, password=hunter2")


def fine() -> None:
    return None


def test_it_is_ready_if_all_parts_are_healthy() -> None:
    report = Readiness([Probe("database", fine), Probe("workers", lambda: ProbeResult("2 answering"))]).check()

    assert report.ready
    assert report.to_public() == {
        "status": "ok",
        "warnings": [],
        "checks": {
            "database": {"status": "ok", "required": True},
            "workers": {"status": "ok", "required": True, "detail": "2 answering"},
        },
    }


def test_a_required_part_that_fails_makes_it_unready_and_leaks_nothing() -> None:
    report = Readiness([Probe("database", fails), Probe("redis", fine)]).check()

    assert not report.ready
    assert report.to_public()["status"] == "unavailable"
    assert report.checks["database"] == {"status": "unavailable", "required": True, "detail": "it is unreachable"}
    assert report.checks["redis"]["status"] == "ok"
    assert report.warnings == ["database: it is unreachable"]


def test_a_part_that_is_not_required_is_a_warning() -> None:
    report = Readiness([Probe("redis", fails, required=False, without="runs wait")]).check()

    assert report.ready
    assert report.checks["redis"]["status"] == "unavailable"
    assert report.warnings == ["redis: it is unreachable; runs wait"]


def test_a_healthy_part_may_warn_and_show_numbers() -> None:
    answer = ProbeResult("1 responding", "no worker takes from agents", {"queues": {"agents": 0, "events": 1}})
    report = Readiness([Probe("workers", lambda: answer, required=False)]).check()

    assert report.ready
    assert report.warnings == ["workers: no worker takes from agents"]
    assert report.checks["workers"] == {
        "status": "warning",
        "required": False,
        "detail": "1 responding",
        "queues": {"agents": 0, "events": 1},
    }


def test_a_hanging_part_times_out_and_is_not_probed_twice() -> None:
    asked, release = [], threading.Event()

    def hangs() -> None:
        asked.append(1)
        release.wait(60)

    readiness = Readiness([Probe("database", hangs, timeout=0.05)])
    try:
        assert readiness.check().ready is False
        assert readiness.check().checks["database"]["detail"] == "timed out"
        assert len(asked) == 1
    finally:
        release.set()


@pytest.mark.parametrize(("stale_seconds", "detail"), [(3600.0, "2 responding"), (0.0, "timed out")])
def test_an_earlier_result_is_shown_while_a_new_one_is_late(stale_seconds: float, detail: str) -> None:
    late, release = threading.Event(), threading.Event()

    def hangs_when_late() -> ProbeResult:
        if late.is_set():
            release.wait(60)
        return ProbeResult("2 responding")

    readiness = Readiness(
        [Probe("workers", hangs_when_late, fresh_seconds=0, timeout=0.05, stale_seconds=stale_seconds)]
    )
    until(lambda: readiness.check().checks["workers"]["detail"] == "2 responding")
    late.set()
    try:
        until(lambda: readiness.check().checks["workers"]["detail"] == detail)
    finally:
        release.set()


@pytest.mark.long
def test_concurrent_checks_share_one_wait_for_a_hanging_part() -> None:
    release = threading.Event()

    def hangs() -> None:
        release.wait(60)
        release.set()

    readiness = Readiness([Probe("redis", hangs, required=False, timeout=2.0)])
    try:
        assert readiness.check().ready
        assert [readiness.check().warnings for _ in range(200)] == [["redis: timed out"]] * 200
        assert not release.is_set()  # at two seconds each, the question would have been given up long ago
    finally:
        release.set()


def test_a_fresh_result_is_reused() -> None:
    asked = []
    readiness = Readiness([Probe("workers", lambda: asked.append(1), fresh_seconds=60)])

    readiness.check()
    readiness.check()

    assert len(asked) == 1

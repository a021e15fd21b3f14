"""What `/readyz` finds."""

import threading

from pixelbloom.web.readiness import Probe, Readiness


def fails() -> None:
    raise OSError("connect to 10.1.2.3:5432 failed, password=hunter2")


def fine() -> None:
    return None


def test_all_parts_that_answer_make_it_ready() -> None:
    ready, checks = Readiness([Probe("database", fine), Probe("workers", lambda: "2 answering")]).check()

    assert ready
    assert checks == {
        "database": {"status": "ok", "required": True},
        "workers": {"status": "ok", "required": True, "detail": "2 answering"},
    }


def test_a_required_part_that_fails_makes_it_unready_and_leaks_nothing() -> None:
    ready, checks = Readiness([Probe("database", fails), Probe("redis", fine)]).check()

    assert not ready
    assert checks["database"] == {"status": "unavailable", "required": True, "detail": "it does not answer"}
    assert checks["redis"]["status"] == "ok"


def test_a_part_that_is_not_required_is_only_told_of() -> None:
    ready, checks = Readiness([Probe("workers", fails, required=False)]).check()

    assert ready
    assert checks["workers"]["status"] == "unavailable"


def test_a_part_that_hangs_is_given_up_and_not_asked_twice() -> None:
    asked, release = [], threading.Event()

    def hangs() -> None:
        asked.append(1)
        release.wait(10)

    readiness = Readiness([Probe("database", hangs)], patience=0.05)
    try:
        assert readiness.check()[0] is False
        _, checks = readiness.check()
        assert checks["database"]["detail"] == "no answer in time"
        assert len(asked) == 1
    finally:
        release.set()


def test_a_fresh_answer_is_not_asked_for_again() -> None:
    asked = []
    readiness = Readiness([Probe("workers", lambda: asked.append(1), fresh_seconds=60)])

    readiness.check()
    readiness.check()

    assert len(asked) == 1

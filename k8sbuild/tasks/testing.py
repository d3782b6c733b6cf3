"""Commands that test a distribution's own code and patches."""

from __future__ import annotations

from .command import Answer, Call

__all__ = ["lint", "test"]


def test(call: Call) -> Answer:
    """Run the Go tests of the distribution's own packages."""
    from k8sbuild import api
    from k8sbuild.report.live import watched
    from k8sbuild.report.tests import tests

    with watched() as observers:
        report = api.run_tests(
            call.request,
            packages=call.own["package"] or ("./...",),
            run=str(call.own["run"]),
            race=not call.own["no-race"],
            short=bool(call.own["short"]),
            inputs=not call.own["no-inputs"],
            observers=observers,
        )
    return Answer(kind="test", data=report.to_dict(), text=lambda: tests(report))


def lint(call: Call) -> Answer:
    """Check overlays and ledgers; the first kind of finding is the error."""
    from k8sbuild import api
    from k8sbuild.report.live import watched

    with watched() as observers:
        report = api.lint(call.request, observers=observers)
    data = {"ok": True, "seconds": round(report.seconds, 3), "log": report.log}
    return Answer(kind="lint", data=data, text=lambda: "overlays and ledgers are in order")

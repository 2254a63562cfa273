"""Objectives of the services, seen from the edge, and the alerts on how fast their budgets of errors are used up.

The edge sees what callers see, also where a service is gone. Two windows each, so that an alert begins soon and ends soon; and so
many failures at the least, so that one failure in a quiet night pages nobody (Site Reliability Workbook, chapter 5).
"""

from codegen.observability.alerts import PAGE, TICKET, Alert, Case

OBJECTIVE = 0.999
"""Share of calls that do not fail for a reason of ours, over 30 days."""
WINDOWS = ("5m", "30m", "1h", "6h", "3d")
MIN_FAILURES = 10
"""In the short window."""
_SERVICE = 'label_replace({}, "service", "$1", "route", "([a-z]+)[.]v1[.].*")'
_FAILED = 'status=~"500|502|503|504"'
_BURNS = (
    ("ErrorBudgetBurnsFast", PAGE, 14.4, "1h", "5m", "in two days"),
    ("ErrorBudgetBurns", PAGE, 6, "6h", "30m", "in five days"),
    ("ErrorBudgetBurnsSlowly", TICKET, 1, "3d", "6h", "before its 30 days are over"),
)


def recordings() -> list[tuple[str, str]]:
    """The recorded series by name: rates of calls and failures, and the share of failures, by service and window."""
    found = []
    for window in WINDOWS:
        calls = _SERVICE.format(f'rate(envoy_weft_edge_requests{{job="weft-edge"}}[{window}])')
        failures = _SERVICE.format(f'rate(envoy_weft_edge_requests{{job="weft-edge",{_FAILED}}}[{window}])')
        found.append((f"weft:edge_calls:rate{window}", f"sum by (service) ({calls})"))
        found.append((f"weft:edge_failures:rate{window}", f"sum by (service) ({failures})"))
        found.append(
            (f"weft:edge_failures:ratio{window}", f"weft:edge_failures:rate{window} / weft:edge_calls:rate{window}")
        )
    return found


def alerts() -> list[Alert]:
    """An alert for each speed."""
    return [_alert(*burn) for burn in _BURNS]


def _alert(name: str, severity: str, factor: float, long: str, short: str, budget: str) -> Alert:
    least = f"weft:edge_failures:rate{short} * {_seconds(short)} > {MIN_FAILURES}"
    limit = f"{factor:g} * {1 - OBJECTIVE:.3f}"
    return Alert(
        name,
        severity,
        f"weft:edge_failures:ratio{long} > {limit} and weft:edge_failures:ratio{short} > {limit} and {least}",
        "1m",
        "{{ $labels.service }} fails {{ $value | humanizePercentage }} of its calls",
        f"At this speed the budget of errors of a month (0.1 %) is used up {budget}.",
        "The overview: which service, since when; then the dashboard RPC: which calls, with which code. "
        "`weft_client_breaker_state` says whether the service waits for another one; its log has the cause, by `trace_id`.",
        "Undo the release, if one has just gone out. Restart what hangs. Where a dependency is gone, help that first: calls come back by themselves.",
        "overview",
        _cases(short),
    )


def _cases(short: str) -> tuple[Case, ...]:
    calls = 'envoy_weft_edge_requests{job="weft-edge",route="order.v1.OrderService.GetOrder",status="200"}'
    fails = 'envoy_weft_edge_requests{job="weft-edge",route="order.v1.OrderService.GetOrder",status="503"}'
    outage = {calls: "0+600x180 108000+0x900", fails: "0+0x180 0+600x600 360000+0x900"}
    quiet = {calls: "0+0x1000", fails: "0+0x300 1+0x700"}
    found = [Case(quiet, "305m", 0), Case({calls: "0+600x1000", fails: "0+0x1000"}, "305m", 0)]
    if short == "5m":
        found += [
            Case(outage, "179m", 0),
            Case(outage, "184m", 1),  # it began with the 181st minute: paged within three
            Case(outage, "14h", 0),
        ]
    elif short == "30m":
        found += [Case(outage, "240m", 1), Case(outage, "15h", 0)]
    else:
        found += [Case(outage, "600m", 1)]
    return tuple(found)


def _seconds(window: str) -> int:
    return int(window[:-1]) * {"m": 60, "h": 3600}[window[-1]]

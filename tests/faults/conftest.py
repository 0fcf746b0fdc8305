"""Counts of what was tried, printed at the end: `count(kind, tried=6, lost=0)`."""

from collections import Counter
from collections.abc import Callable

import pytest


@pytest.fixture
def count(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Adds to the counts of a kind."""
    return lambda kind, **numbers: record_property("faults", (kind, numbers))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A line for each kind."""
    counts: dict[str, Counter[str]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", []):
                if name == "faults" and getattr(report, "when", "") == "call":
                    counts.setdefault(value[0], Counter()).update(value[1])
    for kind, numbers in sorted(counts.items()):
        said = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in numbers.items())
        terminalreporter.write_line(f"{kind}: {said}")

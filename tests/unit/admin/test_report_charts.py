"""How a report's series becomes charts."""

from datetime import UTC, datetime

import pytest

from admin.web.report_charts import draw
from domain.reports.shapes import Chart, Column, Line

X = (datetime(2026, 11, 27, 1, tzinfo=UTC), datetime(2026, 11, 27, 2, tzinfo=UTC))


def _series(*names: str) -> Chart:
    return Chart(X, tuple(Line(name, "count", (3, 4)) for name in names))


@pytest.mark.parametrize(
    ("names", "kind"),
    [(("failures", "client_errors"), "columns"), (("requests", "errors"), "lines"), (("requests",), "columns")],
)
def test_what_holds_other_lines_is_not_stacked_with_them(names, kind):
    (drawing,) = draw("Traffic", _series(*names))
    assert drawing.chart.kind == kind


def test_lines_have_the_titles_of_their_columns_or_their_name_in_words():
    (drawing,) = draw("Traffic", _series("client_errors", "paid_back"), [Column("paid_back", "Refunded", "count")])
    assert [lane.label for lane in drawing.chart.lanes] == ["Client errors", "Refunded"]


def test_nothing_is_drawn_of_nothing():
    assert draw("Traffic", None) == ()
    assert draw("Traffic", Chart((), ())) == ()

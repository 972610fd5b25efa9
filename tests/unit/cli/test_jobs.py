"""What `jobs run` prints of a run."""

from cli.jobs import with_names


def test_figures_say_what_they_count():
    run = {"name": "log-summaries", "result": {"days": 1, "summaries_written": 0, "kept": {}}, "progress": None}
    assert with_names(run) == {
        "name": "log-summaries", "result": ["days 1", "summaries written 0", "kept {}"], "progress": None
    }  # fmt: skip

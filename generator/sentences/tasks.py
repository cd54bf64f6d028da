"""What a task is called on pages: by what it asks, its data set beside it. Pure."""

from experiments.records.study import StudyTask

TITLES = {
    "hutto2014vader": "film reviews (VADER)",
    "socher2013sst": "film reviews (SST-2)",
    "warstadt2019cola": "acceptability (CoLA)",
}


def title(task: StudyTask) -> str:
    """A task by what it asks where its source is known, else by its own name."""
    return TITLES.get(task.source, task.name)

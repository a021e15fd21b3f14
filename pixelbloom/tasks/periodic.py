"""Infrequent tasks."""

from pixelbloom.celery_app import app
from pixelbloom.periodic.jobs import DueJobs
from pixelbloom.tasks.container import services
from pixelbloom.tasks.figures import fold_figures
from pixelbloom.tasks.payments import reconcile_subscriptions, release_lost_uses
from pixelbloom.tasks.retention import purge_notifications, purge_records, purge_runs

#: The function of each of JOBS.
FUNCTIONS = {
    "fold_figures": fold_figures,
    "purge_runs": purge_runs,
    "purge_notifications": purge_notifications,
    "purge_records": purge_records,
    "release_lost_uses": release_lost_uses,
    "reconcile_subscriptions": reconcile_subscriptions,
}


@app.task(name="pixelbloom.run_due_tasks")
def run_due_tasks() -> list[str]:
    """Run the tasks that are due and return the names of those that finished. Safe to repeat, also concurrently."""
    return DueJobs(services().periodic, FUNCTIONS).run()

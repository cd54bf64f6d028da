"""Jobs in worker processes: untimed ones beside each other, timed ones last, each alone in a new one.

What fails, fails alone: a cell, a job whose worker was killed, never the jobs beside it. Starts
processes; they read checkpoints and write records.
"""

import multiprocessing
import sys
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path

from experiments.checkpoint.folder import Checkpoint
from experiments.errors import ReportError
from experiments.quality.tasks.table import Task
from experiments.records.cell import Cell
from experiments.records.command import command
from experiments.records.provenance import Digests
from experiments.records.record import Record
from experiments.records.store import Results, sweep
from experiments.study import failures
from experiments.study.plan import WEIGHTS, Job, Planned, jobs_of, shown
from experiments.terminal import guard, interrupts_held

Say = Callable[[str], None]
Failed = dict[Cell, str]
Take = Callable[[Sequence[Planned]], None]

DIGESTS = "digests.json"  # below results/: what is remembered of files
KILLED = "its worker process was killed (out of memory?)"


def run_jobs(
    asked: Sequence[Planned],
    levels: tuple[float, ...],
    results: Results,
    workers: int,
    say: Say,
    take: Take,
) -> list[str]:
    """Run the cells' jobs in worker processes, timed ones last and alone; a line for what failed.

    `take` is given what each job answered. A worker that is killed takes the jobs beside it along: each
    of them runs again by itself. A timed job has a new process, so that its first calls are the first.
    """
    jobs, lines = readable(jobs_of(asked, levels, command()), results.folder)
    for line in lines:
        say(f"cannot be measured: {line}")
    batches = [[job for job in jobs if not job.timed], *([job] for job in jobs if job.timed)]
    done = 0
    pool = _workers(workers)
    try:
        while batches:
            batch = batches.pop(0)
            if any(job.timed for job in batch):
                pool.shutdown()
                pool = _workers(1)
            futures, rest = _handed_in(pool, batch, results.folder)
            for future in as_completed(futures):
                job, error = futures[future], future.exception()
                killed = isinstance(error, BrokenProcessPool)
                if killed and len(batch) > 1:
                    batches.insert(0, [job])
                    continue
                done += 1
                say(f"[{done}/{len(jobs)}] {job.title}")
                lost = future.result() if error is None else _lost(job, error, results.folder)
                lines += _told(job, lost)
                take([one for one in job.cells if one.cell not in lost])
            if rest:
                batches.insert(0, rest)
            if rest or any(future.exception() for future in futures):
                pool.shutdown(wait=False)
                pool = _workers(workers)
    except BaseException:
        for process in multiprocessing.active_children():
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        sweep(results.folder / "records")  # one that was killed may have been writing
    return lines


def _handed_in(
    pool: ProcessPoolExecutor, batch: Sequence[Job], folder: Path
) -> tuple[dict[Future[Failed], Job], list[Job]]:
    """The jobs that a pool took, and those it no longer takes, as a worker of it was killed meanwhile."""
    futures: dict[Future[Failed], Job] = {}
    with interrupts_held(), suppress(BrokenProcessPool):
        for job in batch:
            futures[pool.submit(_work, job, folder)] = job
    return futures, list(batch[len(futures) :])


def readable(jobs: Sequence[Job], folder: Path | None = None) -> tuple[list[Job], list[str]]:
    """The jobs that can begin; a line for each other, whose checkpoint's headers are damaged, and one for
    each file of sentences that cannot be read.

    Their tracebacks are noted where a `folder` is given.
    """
    reasons: dict[Checkpoint | Task, str] = {}
    for one in dict.fromkeys(part for job in jobs for part in _reads(job)):
        try:
            one.check()
        except ReportError as error:
            reasons[one] = (
                failures.noted(error, one.name, folder) if folder else failures.reason(error)
            )
    lines = [f"{one.name}: {reason}" for one, reason in reasons.items() if isinstance(one, Task)]
    for job in jobs:
        if reason := reasons.get(job.first.checkpoint):
            lines += _told(job, _all_failed(job, reason))
    return [job for job in jobs if not any(part in reasons for part in _reads(job))], lines


def _reads(job: Job) -> list[Checkpoint | Task]:
    """What has to be readable for a job to begin."""
    first = job.first
    return [one for one in (first.checkpoint, first.task, first.shown) if one is not None]


def _workers(count: int) -> ProcessPoolExecutor:
    """Worker processes, each new: on Linux copies of one that has imported all and done nothing else."""
    forks = sys.platform == "linux"  # elsewhere a system's own libraries may not live through it
    context = multiprocessing.get_context("forkserver" if forks else "spawn")
    if forks:
        multiprocessing.set_forkserver_preload(["experiments.study.jobs"])
    return ProcessPoolExecutor(count, mp_context=context, initializer=guard)


def _work(job: Job, folder: Path) -> Failed:
    """In a worker: answer a job's cells and keep each record at once; what failed, and why."""
    from experiments.study.jobs import answers

    results, failed, answered = Results(folder), {}, set()
    try:
        for cell, found in answers(job, Digests(folder / DIGESTS), folder / WEIGHTS):
            if isinstance(found, Record):
                results.put(found)
                answered.add(cell)
            else:
                failed[cell] = failures.noted(found, shown(cell), folder)
    except Exception as error:  # one job's fault must not end the others
        return _all_failed(job, failures.noted(error, job.title, folder), but=answered) | failed
    return failed


def _lost(job: Job, error: BaseException, folder: Path) -> Failed:
    """What failed with a job whose worker came to no answer at all."""
    killed = isinstance(error, BrokenProcessPool)
    return _all_failed(job, KILLED if killed else failures.noted(error, job.title, folder))


def _all_failed(job: Job, reason: str, *, but: Collection[Cell] = ()) -> Failed:
    return {one.cell: reason for one in job.cells if one.cell not in but}


def _told(job: Job, failed: Failed) -> list[str]:
    """A line for each cell that failed, or one for the job where all did for one reason."""
    if len(failed) == len(job.cells) and len(set(failed.values())) == 1:
        return [f"{job.title}: {reason}" for reason in set(failed.values())]
    return [f"{shown(cell)}: {reason}" for cell, reason in failed.items()]

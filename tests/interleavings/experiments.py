"""What happens without a safeguard. Each is taken away in the workers, never in the product; the harness has to be red."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import contextmanager, nullcontext

from web_analytics.build import locks, steps
from web_analytics.build.locks import Try
from web_analytics.teams import registry


def no_fence_of_tries() -> None:
    """A further try makes tables of its own, but takes nothing over, drops nothing and looks at no other try."""

    def begin(clickhouse, lock, task, step, taken=()):
        locks.check_held(clickhouse, lock)
        return Try.new(lock, step, task.try_number), {locks.thing_of(table): table for table in taken}

    locks.begin = begin


def no_names_of_tries() -> None:
    """All tries of a step write the same tables, which a further one empties and fills again, as they once did."""
    from web_analytics.clickhouse.connection import ClickHouse

    def begin(clickhouse, lock, task, step, taken=()):
        locks.check_held(clickhouse, lock)
        return Try(lock, step, 1, "0" * 8), {locks.thing_of(table): table for table in taken}

    locks.begin = begin
    Try.again = lambda self: self
    run = ClickHouse.run

    def create_or_empty(self, path, parameters=None, names=None, **more):
        if path.startswith("build/create_") and path != "build/create_lock":
            made = next(
                name for key, name in names.items() if str(name).startswith("web_analytics_build_") and key
            )
            if self.client.execute(f"EXISTS TABLE {made}") == [(1,)]:
                self.client.execute(f"TRUNCATE TABLE {made} SYNC")
                return None
        return run(self, path, parameters, names, **more)

    ClickHouse.run = create_or_empty


def stage_drops_what_it_finds() -> None:
    """The first step begins with an empty date, whoever has begun it meanwhile, and a table that is gone is told as that."""
    begin = locks.begin

    def begin_with_nothing(clickhouse, lock, task, step, taken=()):
        made, own = begin(clickhouse, lock, task, step, taken)
        if step == locks.STAGE:
            locks._drop(clickhouse, locks._look(clickhouse, lock.partition_date).tables_of(lock))
        return made, own

    locks.begin = begin_with_nothing
    steps.owned = lambda partition_date: nullcontext()


def no_fence_of_takeovers() -> None:
    """Whoever takes a lock over leaves the tables of the old owner alone."""
    locks._fence = lambda clickhouse, lock: None


def no_selection_at_publishing() -> None:
    """What was staged of a team is published, whatever has become of the team."""
    steps._of_selected = lambda clickhouse, day, selected: day


def no_comparison_after_replacing() -> None:
    """Nobody looks at a target after it was replaced."""
    steps.compare_published = lambda clickhouse, day, assembled: None


def empty_days_are_dropped() -> None:
    """A day without rows is dropped where it is, by a statement that names no table of the try, as it once was."""
    replace = steps.replace_partition

    def drop_or_replace(clickhouse, lock, table, assembled):
        is_empty = assembled.clone and clickhouse.client.execute(
            f"SELECT count() FROM {assembled.clone}"
        ) == [(0,)]
        if not is_empty:
            return replace(clickhouse, lock, table, assembled)
        text = f"ALTER TABLE {table.name} DROP PARTITION ID '{steps.partition_id(lock.partition_date)}'"
        return clickhouse._execute_once("build/replace_partition", text, {}, (), False)

    steps.replace_partition = drop_or_replace


def no_compare_and_set() -> None:
    """Whoever changes the registry does not wait for another change, and writes what it wanted when it had read."""

    @contextmanager
    def alone(clickhouse):
        token = secrets.token_hex(6)
        is_own = registry._create_lock(clickhouse, token)
        yield token if is_own else clickhouse.query("teams/read_registry_lock")[0]["token"]
        if is_own:
            clickhouse.run("teams/drop_registry_lock")

    registry.alone = alone


EXPERIMENTS: dict[str, Callable[[], None]] = {
    "no-names-of-tries": no_names_of_tries,
    "no-fence-of-tries": no_fence_of_tries,
    "stage-drops-what-it-finds": stage_drops_what_it_finds,
    "no-fence-of-takeovers": no_fence_of_takeovers,
    "no-selection-at-publishing": no_selection_at_publishing,
    "no-comparison-after-replacing": no_comparison_after_replacing,
    "empty-days-are-dropped": empty_days_are_dropped,
    "no-compare-and-set": no_compare_and_set,
}

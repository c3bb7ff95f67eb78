"""The Airflow pool that bounds how many dates are worked on at once."""

from __future__ import annotations

import logging
import os

log = logging.getLogger(__name__)

POOL = "web_analytics_backfill"
POOL_SLOTS = 4
POOL_DESCRIPTION = "Tasks of the web analytics backfill that run at once; resize it freely."


def ensure_pool() -> bool:
    """Creates the pool if there is none; the size of an existing one belongs to its operator.

    Tasks of Airflow 3 have no access to the metadata database. Where this is called from one, the pool was
    already created when the scheduler started with this plugin.

    :returns: whether the metadata database could be asked.
    """
    if os.environ.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "").startswith("airflow-db-not-allowed"):
        return False
    from airflow.models.pool import Pool

    if Pool.get_pool(POOL) is None:
        Pool.create_or_update_pool(POOL, POOL_SLOTS, POOL_DESCRIPTION, include_deferred=False)
        log.info("Created the pool %s with %d slots.", POOL, POOL_SLOTS)
    return True

"""Plan versions that somebody is on: their terms never change, so each is read once."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from domain.databases import PooledConnection
from domain.plan_terms import PlanTerms, snapshot_of, terms_from_json
from domain.snapshots import PlanSnapshot

_MOST_LEFT_BEHIND = 100
"""Versions that nobody is on any more stay for a while: a key that was read before may still name them."""

_IN_USE = """
    select id from plan_version v where exists (
        select from subscription s where s.plan_version_id = v.id and s.state in ('trialing', 'active', 'past_due'))
"""
_TERMS = "select id, plan_id, terms from plan_version where id = any($1)"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HeldVersion:
    """A version's plan and terms."""

    plan_id: UUID
    terms: PlanTerms


async def read_versions(connection: PooledConnection, held: Mapping[UUID, HeldVersion]) -> dict[UUID, HeldVersion]:
    """The versions that live subscriptions are on, last; before them the latest of those that none is on any more."""
    in_use = {row["id"] for row in await connection.fetch(_IN_USE)}
    left_behind = [version_id for version_id in held if version_id not in in_use]
    found = {version_id: held[version_id] for version_id in left_behind[-_MOST_LEFT_BEHIND:]}
    found.update((version_id, held[version_id]) for version_id in held if version_id in in_use)
    missing = list(in_use.difference(held))
    for row in await connection.fetch(_TERMS, missing) if missing else ():
        try:
            found[row["id"]] = HeldVersion(row["plan_id"], terms_from_json(row["terms"]))
        except (ValueError, KeyError, TypeError):
            _log.exception("plan version %s has terms that cannot be read: who is on it is refused with 503", row["id"])
    return found


def version_plans(versions: Mapping[UUID, HeldVersion], plans: Mapping[UUID, PlanSnapshot]) -> dict[UUID, PlanSnapshot]:
    """Each version as a plan: name and rank are the plan's as they are now, the terms are the version's."""
    made = {}
    for version_id, held in versions.items():
        plan = plans.get(held.plan_id)
        if plan is not None:
            made[version_id] = snapshot_of(plan.id, plan.slug, plan.name, plan.rank, held.terms)
    return made

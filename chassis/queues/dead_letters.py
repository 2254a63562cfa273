"""Dead letters about somebody: they wait for 90 days to be replayed, and do not outlive the person."""

from collections.abc import Iterable

from sqlalchemy import Table

from chassis.storage.database import Database, Query


class DeadLetters:
    """Those of some queues. They are few, and have an index, so each is looked into."""

    def __init__(self, database: Database, tables: Iterable[Table]) -> None:
        self._database = database
        self._statements = [
            Query(
                f"DELETE FROM {table.name} WHERE state = 'dead' "  # noqa: S608 - names of our own tables
                "AND position(convert_to(%(subject_id)s, 'UTF8') IN payload) > 0",
                name=f"delete dead letters of {table.name}",
            )
            for table in tables
            if table.info.get("queue")
        ]

    async def delete(self, subject_id: str) -> None:
        """Delete every one whose payload has this id."""
        for statement in self._statements:
            await self._database.run(statement, subject_id=subject_id)

"""What piccolo-admin takes for its session table: a look at ours. It has no rows, makes none, and stores no token."""

from datetime import timedelta
from typing import Any

from piccolo_api.session_auth.tables import SessionsBase

from admin.tables.engine import ENGINE
from domain.identity.operator_sessions import operator_of_token


class OperatorSessions(SessionsBase, tablename="operator_sessions"):
    """Never made in the database: only `get_user_id` is asked, and that reads `portal_session` by the token's digest."""

    @classmethod
    async def get_user_id(cls, token: str, increase_expiry: timedelta | None = None) -> int | None:
        """The operator whose live session of the back office this is. `increase_expiry` is not for piccolo to say."""
        del increase_expiry
        return await operator_of_token(ENGINE.connection, token)

    @classmethod
    async def create_session(cls, *_: Any, **__: Any) -> SessionsBase:
        """Raise: only our own sign-in begins sessions."""
        raise RuntimeError("Sessions are begun by admin.web.signing_in.")

    @classmethod
    async def remove_session(cls, token: str) -> None:
        """Raise: only our own sign-out ends them."""
        del token
        raise RuntimeError("Sessions are ended by domain.identity.sessions.")

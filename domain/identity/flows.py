"""A sign-in elsewhere that is under way: what the browser keeps, sealed, until it comes back (state, nonce, PKCE)."""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import asdict, dataclass

from domain.portal_settings import SecretSettings
from domain.sealing import Unreadable, seal, unseal

PURPOSE = "flow"
SECONDS = 600
SIGN_IN, CONNECT, PROVE = "sign_in", "connect", "prove"
INTENTS = (SIGN_IN, CONNECT, PROVE)
LONGEST = 3_500


@dataclass(frozen=True, slots=True, repr=False)
class Flow:
    """`intent` is what it is for, `user_id` who asked (0: nobody is signed in), `next` where it goes on."""

    provider: str
    intent: str
    user_id: int
    next: str
    state: str
    nonce: str
    verifier: str
    began: int

    @property
    def challenge(self) -> str:
        """PKCE's S256 of the verifier."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def is_of(self, state: str) -> bool:
        """Whether an answer with this state belongs to it."""
        return hmac.compare_digest(self.state.encode(), state.encode("utf-8", "replace"))


def new_flow(provider: str, intent: str, user_id: int, next_path: str) -> Flow:
    """One with fresh random values."""
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    return Flow(provider, intent, user_id, next_path, state, nonce, verifier, int(time.time()))


def packed(settings: SecretSettings, flow: Flow) -> str:
    """The flow as a cookie, which nobody else can read or make."""
    sealed = seal(settings, json.dumps(asdict(flow)).encode(), purpose=PURPOSE, owner=flow.provider)
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def unpacked(settings: SecretSettings, cookie: str, provider: str) -> Flow | None:
    """The flow of a cookie; None if it is too old, of another provider, or none at all."""
    if not 0 < len(cookie) <= LONGEST:
        return None
    try:
        sealed = base64.urlsafe_b64decode(cookie.encode("ascii") + b"=" * (-len(cookie) % 4))
        flow = Flow(**json.loads(unseal(settings, sealed, purpose=PURPOSE, owner=provider)))
    except (Unreadable, ValueError, TypeError, binascii.Error):
        return None
    return flow if 0 <= time.time() - flow.began < SECONDS else None

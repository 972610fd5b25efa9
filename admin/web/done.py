"""The sentences that a page says after something was done, by the word that stands in its address."""

DONE = {
    "signed_out": "You are signed out.",
    "too_many_codes": "Too many wrong codes. Sign in again.",
    "carried_out": "Done, and noted in the audit.",
    "factor_off": "The authenticator is switched off.",
    "session_ended": "That browser is signed out.",
}

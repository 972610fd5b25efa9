"""What the page after a change says. The URL only carries the name, so that nobody can put words into our mouth."""

DONE: dict[str, str] = {
    "signed_out": "You are signed out.",
    "saved": "Saved.",
    "sent_again": "If a sign-up waits for this address, the link is on its way once more.",
    "address_confirmed": "Your address is confirmed. Welcome.",
    "password_set": "Your new password is set. All other browsers are signed out.",
    "organization_created": "The organization is ready.",
    "email_link_sent": "A link is on its way to the new address. Open it there.",
    "email_change_cancelled": "Your address stays as it is.",
    "email_changed": "Your new address is in force.",
    "password_changed": "Your password is changed. Every other browser is signed out.",
    "factor_off": "The authenticator is switched off.",
    "too_many_codes": "Too many wrong codes. Sign in again.",
    "session_ended": "That browser is signed out.",
    "sessions_ended": "Every other browser is signed out.",
    "connected": "The account is connected. You can sign in with it.",
    "disconnected": "The account is disconnected.",
    "token_revoked": "The token is revoked. Programs that show it are refused.",
    "account_kept": "Your account stays.",
    "key_revoked": "The key is revoked. Requests with it are refused from now on.",
    "key_made_before": "This form was sent before, and made this key then. A key is shown only once; if you do not have it, rotate it.",
}

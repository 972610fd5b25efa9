"""Where people may have an account elsewhere that signs them in: what is configured."""

from dataclasses import dataclass, field

from domain.portal_settings import SignInSettings

GOOGLE, GITHUB = NAMES = ("google", "github")


@dataclass(frozen=True, slots=True)
class Provider:
    """One of them. `issuer` is what identities are stored under; `api` is GitHub's."""

    name: str
    label: str
    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    api: str = ""


def offered(settings: SignInSettings) -> tuple[Provider, ...]:
    """Those whose client id is set."""
    google = Provider(
        GOOGLE,
        "Google",
        settings.google_issuer.rstrip("/"),
        settings.google_client_id,
        settings.google_client_secret.get_secret_value(),
    )
    github = Provider(
        GITHUB,
        "GitHub",
        settings.github_url.rstrip("/"),
        settings.github_client_id,
        settings.github_client_secret.get_secret_value(),
        settings.github_api_url.rstrip("/"),
    )
    return tuple(provider for provider in (google, github) if provider.client_id)


def provider_named(settings: SignInSettings, name: str) -> Provider | None:
    """The provider, if it is offered."""
    return next((provider for provider in offered(settings) if provider.name == name), None)

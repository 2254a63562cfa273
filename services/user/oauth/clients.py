"""Who a client at the token endpoint is: by secret, by signed assertion, or by name alone if it is a public one."""

from collections.abc import Mapping

from chassis.clock import Clock
from services.user.oauth import assertions
from services.user.oauth.domain import OAuthError, matches_any, read_credentials
from services.user.partners.client_repository import ClientAccount, ClientRepository


class ClientAuthentication:
    """Authenticates clients. An assertion is for `issuer` or its token endpoint, and works once."""

    def __init__(self, clients: ClientRepository, issuer: str, clock: Clock) -> None:
        self._clients = clients
        self._clock = clock
        self._audiences = frozenset({issuer, f"{issuer.rstrip('/')}/oauth2/token"})

    async def authenticate(self, authorization: str, form: Mapping[str, str]) -> ClientAccount | None:
        """The authenticated client; None if the request names none. Raises `OAuthError`.

        An unknown client, a wrong secret or assertion and a revoked client get the same response.
        """
        credentials = read_credentials(authorization, form)
        if "client_assertion" in form or "client_assertion_type" in form:
            if credentials is not None:
                raise OAuthError("invalid_request", "The client uses two authentication methods.")
            return await self._by_assertion(form)
        if credentials is None:
            return await self._by_name(form)
        presented = [self._clients.hash_secret(secret) for secret in credentials.secrets]
        account = await self._clients.get_account(credentials.client_id, self._clock.now())
        stored = account.secret_hashes if account and account.client.takes_secrets else (bytes(32),)
        if not matches_any(stored, presented) or account is None or account.client.revoked_at is not None:
            raise OAuthError("invalid_client", "Client authentication failed.", 401)
        return account

    async def _by_assertion(self, form: Mapping[str, str]) -> ClientAccount:
        if form.get("client_assertion_type") != assertions.ASSERTION_TYPE:
            raise OAuthError("invalid_request", "The parameter client_assertion_type is not valid.")
        assertion, now = form.get("client_assertion", ""), self._clock.now()
        client_id = assertions.client_of(assertion)
        if form.get("client_id", client_id) != client_id:
            raise OAuthError("invalid_request", "The client_id of the form differs from that of the assertion.")
        account = await self._clients.get_account(client_id, now)
        failed = OAuthError("invalid_client", "Client authentication failed.", 401)
        if account is None or account.client.revoked_at is not None or not account.client.jwks:
            raise failed
        try:
            once, until = assertions.verify(assertion, client_id, account.client.jwks, self._audiences, now)
        except assertions.AssertionInvalid:
            raise failed from None
        if not await self._clients.use_assertion(once, until):
            raise failed
        return account

    async def _by_name(self, form: Mapping[str, str]) -> ClientAccount | None:
        """The public client that a form names; it proves nothing, but each of its codes is bound to a verifier."""
        account = await self._clients.get_account(form.get("client_id", ""), self._clock.now())
        known = account and account.client.is_public and account.client.revoked_at is None
        return account if known else None

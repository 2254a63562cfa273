"""The providers of a channel: the next one only gets what the one before has surely not sent."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from weft_client.calls.breaker import Breaker, BreakerOpen

from chassis.settings import SettingsError
from services.notification.channels.channel import Carrier, Message
from services.notification.channels.outcome import Outcome, ProviderResponse
from services.notification.deliveries.throttle import Throttle

M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class Provider(Generic[M]):
    """What hands messages to one provider, with the breaker and the rate of that provider."""

    carrier: Carrier[M]
    breaker: Breaker
    throttle: Throttle

    async def send(self, message: M) -> ProviderResponse | None:
        """None where the breaker is open."""
        try:
            self.breaker.acquire()
        except BreakerOpen:
            return None
        try:
            response = await self.carrier.send(message)
        except BaseException:
            self.breaker.cancelled()
            raise
        if response.provider_available:
            self.breaker.succeeded()
        else:
            self.breaker.failed()
        return replace(response, provider=self.carrier.name)


class Providers(Generic[M]):
    """Those that the settings name, in order of preference; perhaps none."""

    def __init__(self, providers: Sequence[Provider[M]], *, repeats_lost: bool = False) -> None:
        """`repeats_lost`: a message whose response was lost is submitted again immediately, to the same provider."""
        self._providers = providers
        self._submissions = 2 if repeats_lost else 1

    @classmethod
    def of(
        cls, name: str, carriers: Sequence[Carrier[M]], *, per_second: float = 0.0, repeats_lost: bool = False
    ) -> "Providers[M]":
        """Each carrier with a breaker, `name` and `<name>_fallback`, and a rate, 0 for none.

        Raises `SettingsError` where the second is the first again.
        """
        if len({carrier.name for carrier in carriers}) < len(carriers):
            raise SettingsError(f"WEFT_{name.upper()}_FALLBACK_URL: name another server than WEFT_{name.upper()}_URL.")
        breakers = [Breaker(each, failures=5, max_pause_s=15.0) for each in (name, f"{name}_fallback")[: len(carriers)]]
        found = [Provider(*each, Throttle(per_second)) for each in zip(carriers, breakers, strict=True)]
        return cls(found, repeats_lost=repeats_lost)

    def __bool__(self) -> bool:
        """Whether there is one."""
        return bool(self._providers)

    @property
    def first(self) -> str:
        """The name of the one that is preferred; empty where there is none."""
        return self._providers[0].carrier.name if self._providers else ""

    def wait(self) -> float:
        """Seconds until one of them may be asked; 0 where one may be now. The next one does not make up for the rate of one that is there."""
        waits = []
        for provider in self._providers:
            waits.append(provider.breaker.wait())
            if not waits[-1]:
                return provider.throttle.wait()
        return min(waits, default=0.0)

    async def send(self, message: M, maybe_sent_by: str) -> list[ProviderResponse]:
        """The responses of one attempt, in order; none where no provider may be asked now, or its rate is used up.

        `maybe_sent_by` names the provider to which an earlier response was lost: then no other one is asked.
        """
        responses: list[ProviderResponse] = []
        named = [provider for provider in self._providers if provider.carrier.name == maybe_sent_by]
        for provider in named or self._providers:
            for _ in range(self._submissions):
                if not provider.breaker.wait() and not await provider.throttle.pass_one():
                    return responses
                response = await provider.send(message)
                if response is None:
                    break
                responses.append(response)
                if response.outcome is not Outcome.LOST:
                    break
            if any(response.outcome is not Outcome.DEFERRED for response in responses):
                break
        return responses

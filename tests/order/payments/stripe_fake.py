"""Stripe over HTTP, as far as the gateway needs it: idempotency keys are honoured, faults are injected, events are signed."""

import asyncio
import itertools
import json
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import stripe
from aiohttp import web

SECRET = "whsec_test"
KEY = "sk_test_fake"
DECLINES = {"pm_card_declined": "insufficient_funds", "pm_card_expired": "expired_card", "pm_card_fraud": "fraudulent"}


class Refused(Exception):
    """An error of the API."""

    def __init__(self, status: int, kind: str, code: str, **more: Any) -> None:
        super().__init__(code)
        self.status = status
        self.body = {"error": {"type": kind, "code": code, "message": f"refused: {code}", **more}}


class StripeFake:
    """The state of an account. `faults` are answers to the next calls whose path matches: `(pattern, fault)`.

    `chance`: of a random fault in any call; `faulty` counts them.
    Faults: `500`, `429`, `lost request` (no effect), `lost answer` and `slow` (the effect happens).
    """

    def __init__(self) -> None:
        self.intents: dict[str, dict[str, Any]] = {}
        self.refunds: list[dict[str, Any]] = []
        self.disputes: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.faults: list[tuple[str, str]] = []
        self.chance = 0.0
        self.faulty = 0
        self.calls: list[str] = []
        self._answers: dict[str, tuple[str, int, dict[str, Any]]] = {}
        self._numbers = itertools.count(1)
        self.url = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["StripeFake"]:
        app = web.Application()
        app.router.add_route("*", "/v1/{path:.*}", self._handle)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    @property
    def books(self) -> list[tuple[str, int, int]]:
        """Of each intent: its status, what was received and what was refunded."""
        return [(i["status"], i["amount_received"], self._refunded(i["id"])) for i in self.intents.values()]

    def act(self, intent_id: str, succeeds: bool = True) -> None:
        """The payer acts, and Stripe goes on."""
        intent = self.intents[intent_id]
        intent["next_action"] = None
        if succeeds:
            intent["status"] = "requires_capture"
            self._emit("payment_intent.amount_capturable_updated", self._shown(intent))
        else:
            self._decline(intent, "authentication_required")

    def dispute(self, intent_id: str, status: str = "needs_response") -> None:
        """The payer's bank opens a dispute, or decides it."""
        found = [d for d in self.disputes if d["payment_intent"] == intent_id]
        if not found:
            amount = self.intents[intent_id]["amount_received"] - self._refunded(intent_id)
            found = [self._made("dp", "dispute", payment_intent=intent_id, amount=amount)]
            self.disputes += found
        found[0]["status"] = status
        self._emit("charge.dispute.updated", found[0])

    @staticmethod
    def signed(event: dict[str, Any], now: int, secret: str = SECRET) -> tuple[bytes, str]:
        """An event as Stripe sends it: the body and its signature, by the SDK's own function."""
        body = json.dumps(event)
        signature = stripe.WebhookSignature._compute_signature(f"{now}.{body}", secret)
        return body.encode(), f"t={now},v1={signature}"

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path = f"{request.method} {request.match_info['path']}"
        self.calls.append(path)
        fault = self._fault(path)
        if fault == "lost request":
            return self._hang_up(request)
        if fault in ("500", "429"):
            return web.json_response({"error": {"type": "api_error", "message": "try later"}}, status=int(fault))
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return web.json_response({"error": {"type": "invalid_request_error", "message": "no such key"}}, status=401)
        form = {k: str(v) for k, v in (await request.post()).items()} | dict(request.query)
        status, body = self._once(request.headers.get("idempotency-key", ""), path, form)
        if fault == "lost answer":
            return self._hang_up(request)
        if fault == "slow":
            await asyncio.sleep(3)
        return web.json_response(body, status=status)

    def _fault(self, path: str) -> str:
        if random.random() < self.chance:
            self.faulty += 1
            return random.choice(("500", "429", "lost request", "lost answer", "slow"))
        for number, (pattern, fault) in enumerate(self.faults):
            if re.search(pattern, path):
                del self.faults[number]
                return fault
        return ""

    @staticmethod
    def _hang_up(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    def _once(self, key: str, path: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        said = json.dumps([path, form], sort_keys=True)
        if key in self._answers:
            before, status, body = self._answers[key]
            if before != said:
                return 400, {"error": {"type": "idempotency_error", "message": "another request with this key"}}
            return status, body
        try:
            answer = 200, self._answer(path, form)
        except Refused as refused:
            answer = refused.status, refused.body
        if key:
            self._answers[key] = (said, *json.loads(json.dumps(answer)))
        return answer

    def _answer(self, path: str, form: dict[str, str]) -> dict[str, Any]:
        if path == "POST payment_intents":
            return self._create(form)
        if path == "POST refunds":
            return self._refund(form)
        if path == "GET disputes":
            return {
                "object": "list",
                "data": [d for d in self.disputes if d["payment_intent"] == form["payment_intent"]],
            }
        if path == "GET payment_intents":
            return {"object": "list", "has_more": False, "data": [self._shown(i) for i in self.intents.values()]}
        _, _, intent_id, *verb = path.replace(" ", "/").split("/")
        intent = self.intents.get(intent_id)
        if intent is None:
            raise Refused(404, "invalid_request_error", "resource_missing")
        if verb:
            {"confirm": self._confirm, "capture": self._capture, "cancel": self._cancel}[verb[0]](intent, form)
        return self._shown(intent)

    def _create(self, form: dict[str, str]) -> dict[str, Any]:
        if not form["payment_method"].startswith("pm_card_"):
            raise Refused(400, "invalid_request_error", "resource_missing", param="payment_method")
        intent = self._made(
            "pi",
            "payment_intent",
            status="requires_confirmation",
            amount=int(form["amount"]),
            amount_received=0,
            currency=form["currency"],
            method=form["payment_method"],
            metadata={k[9:-1]: v for k, v in form.items() if k.startswith("metadata[")},
            last_payment_error=None,
            next_action=None,
        )
        self.intents[intent["id"]] = intent
        return self._shown(intent)

    def _confirm(self, intent: dict[str, Any], _: dict[str, str]) -> None:
        self._require(intent, "requires_confirmation")
        if intent["method"] in DECLINES:
            self._decline(intent, DECLINES[intent["method"]])
            error = intent["last_payment_error"]
            raise Refused(402, "card_error", "card_declined", decline_code=error["decline_code"])
        if intent["method"] == "pm_card_action":
            intent["status"] = "requires_action"
            url = "https://bank.example/3ds"
            intent["next_action"] = {"type": "redirect_to_url", "redirect_to_url": {"url": url}}
        else:
            intent["status"] = "requires_capture"
            self._emit("payment_intent.amount_capturable_updated", self._shown(intent))

    def _capture(self, intent: dict[str, Any], form: dict[str, str]) -> None:
        self._require(intent, "requires_capture")
        intent["status"], intent["amount_received"] = "succeeded", int(form["amount_to_capture"])
        self._emit("payment_intent.succeeded", self._shown(intent))

    def _cancel(self, intent: dict[str, Any], _: dict[str, str]) -> None:
        if intent["status"] in ("succeeded", "canceled", "processing"):
            raise Refused(400, "invalid_request_error", "payment_intent_unexpected_state")
        intent["status"] = "canceled"
        self._emit("payment_intent.canceled", self._shown(intent))

    def _refund(self, form: dict[str, str]) -> dict[str, Any]:
        intent, amount = self.intents[form["payment_intent"]], int(form["amount"])
        if any(d["payment_intent"] == intent["id"] and d["status"] != "won" for d in self.disputes):
            raise Refused(400, "invalid_request_error", "charge_disputed")
        if amount > intent["amount_received"] - self._refunded(intent["id"]):
            raise Refused(400, "invalid_request_error", "charge_already_refunded")
        made = self._made(
            "re", "refund", payment_intent=intent["id"], amount=amount, status="succeeded", failure_reason=None
        )
        self.refunds.append(made)
        self._emit("charge.refunded", made)
        return made

    def _decline(self, intent: dict[str, Any], code: str) -> None:
        intent["status"] = "requires_payment_method"
        intent["last_payment_error"] = {"code": "card_declined", "decline_code": code, "message": f"declined: {code}"}
        self._emit("payment_intent.payment_failed", self._shown(intent))

    def _require(self, intent: dict[str, Any], status: str) -> None:
        if intent["status"] != status:
            raise Refused(400, "invalid_request_error", "payment_intent_unexpected_state")

    def _refunded(self, intent_id: str) -> int:
        return sum(r["amount"] for r in self.refunds if r["payment_intent"] == intent_id)

    def _shown(self, intent: dict[str, Any]) -> dict[str, Any]:
        charge = None
        if intent["status"] == "succeeded":
            disputed = any(d["payment_intent"] == intent["id"] for d in self.disputes)
            refunded = self._refunded(intent["id"])
            charge = {"id": "ch_1", "object": "charge", "amount_refunded": refunded, "disputed": disputed}
        return json.loads(json.dumps({**intent, "latest_charge": charge}))

    def _emit(self, kind: str, subject: dict[str, Any]) -> None:
        self.events.append(self._made("evt", "event", type=kind, data={"object": subject}))

    def _made(self, prefix: str, kind: str, **values: Any) -> dict[str, Any]:
        return {"id": f"{prefix}_{next(self._numbers)}", "object": kind, **values}

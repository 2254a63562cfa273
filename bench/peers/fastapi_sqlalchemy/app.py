"""The application: routes, their dependencies, one error shape."""

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI, Header, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor

from bench.peers import database, orders, telemetry
from bench.peers.customers import Customers
from bench.peers.fastapi_sqlalchemy.schemas import OrderIn, OrderOut, PageOut, UserOut
from bench.peers.models import Order, User
from bench.peers.refusals import STATUS, Refused
from bench.peers.settings import Settings
from bench.peers.tokens import Caller, InvalidToken, Verifier

bearer = HTTPBearer()


def caller_with(scope: str) -> Callable[..., object]:
    """A dependency: the verified caller, who must hold the scope."""

    async def caller(request: Request, credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> Caller:
        try:
            caller: Caller = request.app.state.verifier.verify(credentials.credentials)
        except InvalidToken as error:
            raise HTTPException(401, "The token is not valid.") from error
        if scope not in caller.scopes:
            raise HTTPException(403, f"The token lacks the scope {scope}.")
        return caller

    return caller


def create() -> FastAPI:
    """One worker's application, set up from the environment."""
    settings = Settings()  # type: ignore[call-arg]  # what has no default is in the environment
    engine, writes, reads = database.connect(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        headers = {"authorization": f"Bearer {settings.users_token}"}
        async with httpx.AsyncClient(base_url=settings.users_url, headers=headers) as users:
            app.state.customers = Customers(lambda user_id: _partner_of(users, user_id))
            yield
        await engine.dispose()

    app = FastAPI(title="Peer (a)", lifespan=lifespan)
    app.state.verifier = Verifier(settings)
    app.state.writes, app.state.reads = writes, reads
    _route_orders(app)
    _route_users(app)

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> Response:
        status = STATUS[error.code]
        return JSONResponse({"code": status, "reason": error.reason, "message": str(error)}, status)

    if telemetry.start(settings, "peer-a"):
        # Without the spans of single ASGI messages, which most users switch off.
        FastAPIInstrumentor.instrument_app(app, exclude_spans=["receive", "send"])
        AsyncPGInstrumentor().instrument()
        HTTPXClientInstrumentor().instrument()
    return app


async def _partner_of(users: httpx.AsyncClient, user_id: str) -> str | None:
    reply = await users.get(f"/v1/users/{user_id}")
    if reply.status_code == 404:
        return None
    reply.raise_for_status()
    return UserOut.model_validate_json(reply.content).partner_id


def _render(order: Order) -> bytes:
    return OrderOut.of(order).model_dump_json(by_alias=True).encode()


def _route_orders(app: FastAPI) -> None:
    @app.post("/v1/orders", status_code=201, response_model=OrderOut)
    async def create_order(
        request: Request,
        new: OrderIn,
        caller: Annotated[Caller, Depends(caller_with("orders.write"))],
        idempotency_key: Annotated[str, Header(min_length=1, max_length=255)],
    ) -> Response:
        fingerprint = hashlib.sha256(new.model_dump_json().encode()).digest()
        customer_id = await request.app.state.customers.check(caller, new.customer_id)
        wanted = orders.NewOrder(
            customer_id=customer_id,
            lines=[(line.product_id, line.quantity) for line in new.lines],
            payment_method=new.payment_method,
            external_reference=new.external_reference,
            note=new.note,
        )
        state = request.app.state
        reply = await orders.place(state.writes, caller, idempotency_key, fingerprint, wanted, _render)
        headers = {"idempotency-replayed": "true"} if reply.replayed else None
        # The stored bytes as they are, rather than validated and serialised once more.
        return Response(reply.body, status_code=201, headers=headers, media_type="application/json")

    @app.get("/v1/orders/{order_id}", response_model=OrderOut)
    async def get_order(
        request: Request, order_id: str, caller: Annotated[Caller, Depends(caller_with("orders.read"))]
    ) -> OrderOut:
        return OrderOut.of(await orders.get(request.app.state.reads, caller, order_id))

    @app.get("/v1/orders", response_model=PageOut)
    async def list_orders(
        request: Request,
        caller: Annotated[Caller, Depends(caller_with("orders.read"))],
        page_size: Annotated[int, Query(alias="pageSize", ge=0)] = 50,
        page_token: Annotated[str, Query(alias="pageToken", max_length=1000)] = "",
    ) -> PageOut:
        size = min(page_size or 50, 1000)
        found, token = await orders.page(request.app.state.reads, caller, size, page_token)
        return PageOut(orders=[OrderOut.of(order) for order in found], next_page_token=token)


def _route_users(app: FastAPI) -> None:
    @app.get("/v1/users/{user_id}", response_model=UserOut, dependencies=[Depends(caller_with("users.read"))])
    async def get_user(request: Request, user_id: str) -> User:
        async with request.app.state.reads() as session:
            user: User | None = await session.get(User, user_id)
        if user is None:
            raise Refused("NOT_FOUND", "USER_NOT_FOUND", "There is no such user.")
        return user

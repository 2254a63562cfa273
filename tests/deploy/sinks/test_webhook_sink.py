"""The receiver of webhooks in the local mesh."""

import time
from pathlib import Path

from aiohttp import ClientSession, encode_basic_auth, web
from weft_client import webhooks

from deploy.local.sinks import webhook_sink

SECRET = "whsec_" + "A" * 43 + "="


async def test_what_comes_is_kept_judged_and_shown_to_who_has_the_password(tmp_path: Path) -> None:
    runner = web.AppRunner(webhook_sink.Sink(tmp_path, "word").app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url, known = f"http://127.0.0.1:{runner.addresses[0][1]}", {"authorization": encode_basic_auth("weft", "word")}
    body = b'{"type": "order.placed", "note": "<b>"}'
    signed = webhooks.sign(body, "evt_1", 4_000_000_000, SECRET)
    async with ClientSession() as session:

        async def post(path: str, headers: dict[str, str]) -> int:
            return (await session.post(f"{url}{path}", data=body, headers=headers)).status

        assert await post("/hooks/mine", signed) == 204
        assert await post("/hooks/mine?answer=410", signed) == 410
        assert await post("/hooks/mine?wait=1000", signed) == await post("/hooks/mine?answer=x", signed) == 400
        assert (await session.put(f"{url}/hooks/mine", data=SECRET)).status == 401
        assert (await session.put(f"{url}/hooks/mine", data="whsec_AA", headers=known)).status == 400
        assert (await session.put(f"{url}/hooks/mine", data=SECRET, headers=known)).status == 204
        assert await post("/hooks/mine", signed) == 400, "its time is far off"
        assert await post("/hooks/mine", webhooks.sign(body, "evt_2", int(time.time()), SECRET)) == 204
        assert await post("/hooks/other", signed) == 204
        assert (await session.get(f"{url}/messages.json")).status == 401
        found = (await (await session.get(f"{url}/messages.json", headers=known)).json())["messages"]
        assert [(each["path"], each["signature"]) for each in found] == [
            ("/hooks/mine", "unknown"), ("/hooks/mine?answer=410", "unknown"), ("/hooks/mine", "wrong"),
            ("/hooks/mine", "right"), ("/hooks/other", "unknown"),
        ]  # fmt: skip
        assert (found[0]["id"], found[0]["content"]) == ("evt_1", body.decode())
        page = await (await session.get(url, headers=known)).text()
        assert "&lt;b&gt;" in page
        assert "<b>" not in page
    await runner.cleanup()

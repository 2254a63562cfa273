"""`curl -s [-X VERB] URL [-u USER:PASSWORD] [-H HEADER]… [-d BODY]` for machines that lack it: what the pages in docs/ use."""

import argparse
import sys

import httpx


def main() -> None:
    """Send the request and print the body of the reply."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("-s", action="store_true")
    parser.add_argument("-u", default="")
    parser.add_argument("-X", default="")
    parser.add_argument("-H", action="append", default=[])
    parser.add_argument("-d")
    given = parser.parse_args()
    headers = dict(line.split(": ", 1) for line in given.H)
    if given.d is not None and "content-type" not in headers:
        headers["content-type"] = "application/x-www-form-urlencoded"
    auth = tuple(given.u.split(":", 1)) if given.u else None
    reply = httpx.request(
        given.X or ("GET" if given.d is None else "POST"),
        given.url,
        headers=headers,
        content=given.d,
        auth=auth,  # type: ignore[arg-type]
        timeout=30,
        trust_env=False,
    )
    sys.stdout.write(reply.text)


if __name__ == "__main__":
    main()

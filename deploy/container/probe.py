"""A container's health check: `python -m deploy.container.probe URL…` exits 0 when each URL answers 200."""

import sys
import urllib.request

TIMEOUT_S = 2


def main(urls: list[str]) -> int:
    """1, with the reason on standard error, where one does not."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for url in urls:
        try:
            opener.open(url, timeout=TIMEOUT_S).close()
        except (OSError, ValueError) as error:
            sys.stderr.write(f"{url}: {error}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

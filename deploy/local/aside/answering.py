"""One call, then the end: `python -m deploy.local.aside.answering`, with what to call in the environment; its last line is the answer."""

import base64
import importlib
import os
import pickle
import sys

from deploy.local import options
from deploy.local.aside.asking import TASK
from deploy.local.failures import MeshError, describe


def main() -> None:
    """Print the answer, or end with 1 and one sentence."""
    function, arguments = pickle.loads(base64.b64decode(os.environ.pop(TASK)))  # noqa: S301 - of the supervisor
    place, _, name = function.partition(":")
    try:
        answer = getattr(importlib.import_module(place), name)(*arguments)
    except MeshError as error:
        sys.exit(str(error))
    except ModuleNotFoundError as error:
        sys.exit(f"The module {error.name} is missing: run `make setup` and then `make gen`.")
    except OSError as error:
        sys.exit(describe(error, options.home()))
    print(base64.b64encode(pickle.dumps(answer)).decode(), flush=True)


if __name__ == "__main__":
    main()

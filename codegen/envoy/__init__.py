"""The edge's configuration from the contract: `build` for the bootstrap, `write` for all files, `command` to run it.

    deployment = Deployment(folder=home / "edge-0", services={"order": ("127.0.0.1:5001",)}, http_port=8080, …)
    write(contract.load(), deployment)         # edge.json, *.lua, *.secret.json in deployment.folder
    subprocess.Popen(command(deployment))      # SIGTERM ends it; POST /drain_listeners?graceful before, for a soft end

Ready when `GET http://127.0.0.1:{metrics_port}/ready` says LIVE, whether or not the services are there yet. Commands
go to its admin interface, at the socket `{folder}/admin.sock`, which only its own user may open.
"""

from codegen.envoy.bootstrap import build, command, files, generate, write
from codegen.envoy.deployment import Deployment

__all__ = ["Deployment", "build", "command", "files", "generate", "write"]

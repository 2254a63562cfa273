"""A trace receiver that counts: `python -m bench.stacks.receiver host:port`. The same for every side of a comparison."""

import asyncio
import signal
import sys

import grpc

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


class Receiver(grpc.GenericRpcHandler):
    """Accepts batches and looks at none, so that it takes as little of the shared cores as it can."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        """The one method that exporters call."""
        if handler_call_details.method != EXPORT:
            return None
        return grpc.unary_unary_rpc_method_handler(_accept)


async def _accept(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
    return b""


async def serve(address: str) -> None:
    """Serves until SIGTERM."""
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", 64 << 20)])
    server.add_generic_rpc_handlers((Receiver(),))
    server.add_insecure_port(address)
    await server.start()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    await server.stop(1)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))

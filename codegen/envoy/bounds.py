"""Limits on what callers can make one edge hold, and how they fit into its heap (tests/codegen/test_bounds.py)."""

HEAP_BYTES = 512 << 20
"""Bytes of heap that one edge may take. Half is for connections, a quarter for requests; answers have what is left."""

MAX_HEADER_BYTES = 32 << 10
"""Bytes of a request's headers, names and values, that are served; above it is 431."""
MAX_HEADERS = 100
"""Headers of a request that are served."""
OWN_HEADER_BYTES, OWN_HEADERS = 512, 12
"""Room beside it for what the edge itself has added by the time that headers are measured."""
READ_HEADER_KIB, READ_HEADERS = 64, 1000
"""What the codec reads, so that there is a request to answer 431 to; above that it resets an HTTP/2 stream."""
ANSWER_HEADER_KIB, ANSWER_FIELD_KIB, ANSWER_HEADERS = 8192, 256, 1000
"""Headers or trailers of a service's answer, as large as Envoy allows: above that the codec closes the connection,
which all callers share. Services keep theirs below 4 KiB."""

MAX_CONNECTIONS = HEAP_BYTES // 2 // (READ_HEADER_KIB << 10)
"""Connections, each of which may hold headers that are not whole yet."""
MAX_CONNECTIONS_PER_ADDRESS = MAX_CONNECTIONS // 16
SILENT_TIMEOUT_S = 10
"""Seconds after which a connection that has sent nothing is closed; one that has sent a request may be idle for 60."""
MAX_STREAMS_PER_CONNECTION = 100
"""Requests at a time in an HTTP/2 connection."""

MAX_REQUEST_BYTES = HEAP_BYTES // 4
"""Bytes of headers and bodies of all requests past authentication and rate limit, each counted at its maximum."""
MAX_REQUEST_BYTES_PER_ADDRESS = MAX_REQUEST_BYTES // 8
MIN_REQUEST_BYTES = 1 << 10
"""The least that a request counts as."""
STREAM_BYTES = MAX_REQUEST_BYTES_PER_ADDRESS // 128
"""What a call counts as whose answer is a stream, which may wait for a slow reader as long as it lasts."""
FRAME_BYTES = 16 << 10
"""What may have been read beyond a body's bound before it is noticed."""

MAX_REFUSALS_PER_ADDRESS = 100
"""Requests in a second that the edge refuses by itself (400 to 415, 431), before an address gets 429."""

TRACKED_POWER = 18
"""Streams that hold two to this power of bytes are the first to be ended when the heap fills: 256 KiB, above any request
but the largest batches of providers, which send them again."""

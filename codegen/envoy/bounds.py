"""What a caller may make the edge hold: the numbers, and why they fit together."""

HEADER_BYTES = 32 << 10
"""Bytes of a request's headers, names and values, that are served; above it is 431."""
HEADERS = 100
"""Headers of a request that are served."""
OWN_HEADER_BYTES, OWN_HEADERS = 512, 12
"""Room beside it for what the edge itself has added by the time that headers are measured."""
READ_HEADER_KIB, READ_HEADERS = 96, 1000
"""What the codec reads, so that there is a request to answer 431 to; above that it resets an HTTP/2 stream."""
ANSWER_HEADER_KIB, ANSWER_FIELD_KIB, ANSWER_HEADERS = 8192, 256, 1000
"""Headers or trailers of a service's answer, as large as Envoy can be told: above that the codec gives up the connection,
which all callers share. Services keep theirs below 4 KiB."""

"""A contract of one service, written for a test."""

POLICY = (
    "callers: [CALLER_USER] scope: SCOPE_ORDERS_WRITE rate: RATE_CLASS_WRITE deadline: {seconds: 5} "
    "key: IDEMPOTENCY_KEY_REQUIRED"
)
ROUTE = 'option (google.api.http) = {post: "/v1/tries" body: "*"};'


def service(policy: str, *options: str, request: str = "TryRequest", reply: str = "TryResponse") -> str:
    return f"""
        service LabService {{
          rpc Try({request}) returns ({reply}) {{
            {" ".join(options)}
            {f"option (weft.api.v1.method) = {{ {policy} }};" if policy is not None else ""}
          }}
        }}
        message TryRequest {{}}
        message TryResponse {{}}
    """

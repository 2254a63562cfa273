"""OAuth: people who let a partner's app act for them. The authorization endpoint, codes with PKCE, and consents.

Whether a call is authorized is decided in `chassis.rpc.callers.authorization`, and whose things it sees in `services.user.ownership`.
"""

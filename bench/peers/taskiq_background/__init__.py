"""Peer (e): what a team would write behind peer (a): the outbox polled, taskiq on Valkey's streams, aiosmtplib, Jinja.

taskiq rather than arq, which is only maintained and needs a client of Valkey that is three releases behind, or Celery, whose workers
are synchronous: of the three it does the most tasks a second.
"""

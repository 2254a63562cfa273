"""What stands in for those whom partners run: a receiver of webhooks."""

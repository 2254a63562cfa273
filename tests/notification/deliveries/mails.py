"""Headers of mails, and texts that would add one."""

HEADERS = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Content-Language"]
INJECTION = "=?utf-8?b?eA0KQ29udGVudC1UeXBlOiB0ZXh0L2h0bWwNCg0KPGgxPlBheSBoZXJlPC9oMT4=?="

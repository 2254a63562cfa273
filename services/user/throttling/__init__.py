"""What limits anonymous callers: back-off after failed attempts, mails per hour, and responses of equal duration."""

"""Text messages over Twilio's REST API."""

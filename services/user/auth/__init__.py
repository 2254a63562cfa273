"""AuthService: sign-up, verification, sign-in and sign-out, over `accounts` and `sessions`."""

"""What every service gets; knows no domain."""

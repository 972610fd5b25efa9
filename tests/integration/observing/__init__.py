"""What the processes beside the gateway show on /metrics."""

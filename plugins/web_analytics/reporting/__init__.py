"""What people and machines are told: messages, metrics, log lines, links."""

"""The street door: HTTP, the dashboard, and the relay that rings and reaps."""

"""Datasets on their way in: read, checked, packed into shards, and given back as pixels."""

"""The store: everything that lasts. Rows in SQL, bytes by digest, the bell that wakes a worker."""

"""The endpoints, one file a group. Each has `ENDPOINTS`; routes.py lists the groups."""

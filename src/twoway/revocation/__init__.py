"""What authorities say about the certificates they issued, fetched ahead of need: lists, answers, staples."""

"""Side-by-side benchmarks, one module a question; run by `make bench`, never as timed tests."""

"""Side-by-side timings: `python -m benchmarks` from the repository's root."""

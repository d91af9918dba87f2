"""Time per training step beside torch and JAX. Nothing is imported here: the peers' workers run without symgraph."""

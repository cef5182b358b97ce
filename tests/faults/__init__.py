"""Fault injection: everything that can go wrong in a worker, beside a bystander's call that must not notice."""

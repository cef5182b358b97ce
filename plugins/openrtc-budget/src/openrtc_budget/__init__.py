"""Ends calls politely when their budget is spent."""

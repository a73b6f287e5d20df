"""The frame of the read API: what its endpoints declare, and what is made from the declarations.

An endpoint says once which parameters it takes and what it answers (`declared`). Requests are checked against
that, and the OpenAPI document (`document`) and the page for people are written from it: they cannot differ.
"""

"""Reading tasks over HTTP."""

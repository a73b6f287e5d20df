"""Reading over HTTP: personal access tokens, and what answers to them."""

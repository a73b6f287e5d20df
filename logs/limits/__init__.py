"""API tokens against their limits: the page of all of one's tokens, and that of one."""

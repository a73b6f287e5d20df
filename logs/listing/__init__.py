"""Which records a page shows, in what order, and what its rows say."""

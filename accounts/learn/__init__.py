"""The guide inside the console: its pages, and what readers say of them."""

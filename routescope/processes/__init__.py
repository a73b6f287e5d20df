"""Several processes as one: started, watched and ended together, with one terminal."""

"""What runs: the web server with its turns, other processes, and the jobs that they do."""

"""What runs beside the pages: processes, and the jobs that they do."""

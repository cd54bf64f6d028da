"""What the site gives to other programs: records as CSV, what tables mean, results as model cards."""

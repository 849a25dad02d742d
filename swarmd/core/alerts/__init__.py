"""What somebody should look at: sights become conditions, conditions become episodes."""

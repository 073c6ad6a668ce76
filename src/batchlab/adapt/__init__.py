"""Parts for users' own training loops: they watch or steer what the loop does, and leave it the user's."""

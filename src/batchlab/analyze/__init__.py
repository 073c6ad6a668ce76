"""Records in, findings out: what a study shows, in numbers and in words; runs where nothing was trained."""

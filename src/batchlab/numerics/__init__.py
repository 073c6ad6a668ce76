"""Numbers in, numbers out: intervals, comparisons, learning-rate response and rules; numpy and scipy only."""

"""Many trials: the question, the plan, the driver, the store and the workers."""

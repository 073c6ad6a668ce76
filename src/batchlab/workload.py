"""What is trained: the `Workload` a user brings, its `Metric`, and loading one by reference."""

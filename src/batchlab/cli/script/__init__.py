"""From a training script to a workload file: the script is read as text, and never run.

source ──► flow ──► reading ──► draft ──► text
"""

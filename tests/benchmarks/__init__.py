"""Measurements as ratios against a bare counterpart in the same run; never a timed assert."""

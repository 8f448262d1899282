"""Collaborative Tree Optimization's preference stage (MAS², equation 11), and what it is compared with."""

"""What people look at: terminal output and tables."""

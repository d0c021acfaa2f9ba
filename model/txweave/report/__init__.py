"""What people and programs read: stories, tables, JSON."""

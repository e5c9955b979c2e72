"""The HTTP edge: collecting, deciding, explaining, writing items, and the pages."""

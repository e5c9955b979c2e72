"""Who may do what, whose data it is, and what is let in: access, subjects and the door."""

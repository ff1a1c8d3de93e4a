"""What the admin pages of all apps are made of: how values are shown, read-only pages, search, live meetings."""

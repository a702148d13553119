"""What serves masks over HTTP, whatever the platform."""

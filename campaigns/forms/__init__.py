"""What people type, checked before a service sees it: shape and range only. What may be done, services say."""

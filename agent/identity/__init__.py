"""Who is who: callers' numbers, officers and their keys."""

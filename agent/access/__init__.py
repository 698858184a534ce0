"""Who may open what, and the tools of those who may."""

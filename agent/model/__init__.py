"""The frozen vocabulary the packages share."""

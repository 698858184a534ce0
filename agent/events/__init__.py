"""What happens, told over MQTT; and commands that come that way."""

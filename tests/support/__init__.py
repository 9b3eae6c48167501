"""Servers and builders that several rooms' tests share. Import as `from support.<module> import …`."""

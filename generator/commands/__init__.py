"""The commands, a file a group, imported when one is called: what a file imports at its top is light."""

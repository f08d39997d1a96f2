"""The sub-commands of `liandong`, a file a family."""

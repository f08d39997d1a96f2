"""The risk department's desk: pages and an API over the database that the projector fills. It only reads."""

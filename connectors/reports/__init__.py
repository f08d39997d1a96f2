"""Packs as files for people: a page to print, and a workbook to calculate with."""

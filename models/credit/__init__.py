"""The credit side: the loan book, concentration and its limits."""

"""Tables of papers: how they are played, in which order, their records and their claims."""

"""Which student for a teacher, before any training: candidates, their likeness to it, and what each costs."""

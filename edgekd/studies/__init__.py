"""Studies: one recipe and its variants over folds and seeds, and what the answers of all patients out of fold say of them."""

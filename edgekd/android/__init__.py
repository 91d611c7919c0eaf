"""What the Android demo carries, a model with its description and pictures; and its field log, which it brings back."""

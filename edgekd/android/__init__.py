"""What the Android demo carries: a verified model, its description for the app, and pictures to try it with."""

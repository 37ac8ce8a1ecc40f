"""Pages and planes that every figure is drawn with."""

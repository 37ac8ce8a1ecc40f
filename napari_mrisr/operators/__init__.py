"""Linear operators on grids: interpolation, degradation, gradients."""

"""Plots as inline SVG. Colours are those of the page's style sheet, by class, light and dark."""

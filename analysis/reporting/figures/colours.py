"""The colours of figures, for those who draw and for the page that shows them on a dark screen."""

# Okabe and Ito 2008, Color Universal Design: told apart by every kind of colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P")  # a second way to tell them apart, also in grey
INK, SOFT, EDGE, LINES, PAPER = "#22262b", "#565d68", "#8a919c", "#e6e9ee", "#ffffff"

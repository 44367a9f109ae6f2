"""For those who teach: editions of the notebooks, grading, exams."""

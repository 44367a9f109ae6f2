"""How an answer is checked: what `Exercise.judge` is made of."""

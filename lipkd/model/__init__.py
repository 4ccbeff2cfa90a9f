"""The networks, the cohort of peers, the methods of distillation, and what a network costs."""
